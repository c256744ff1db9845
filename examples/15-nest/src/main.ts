import "reflect-metadata";
import { Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { EmailsController } from "./emails.controller.js";
import { JobsModule } from "./jobs.module.js";

@Module({ imports: [JobsModule], controllers: [EmailsController] })
class App {}

const app = await NestFactory.create(App, { logger: ["error", "warn"] });
app.enableShutdownHooks(); // SIGTERM closes the application, and the worker with it
await app.listen(process.env.PORT ?? 3000, "127.0.0.1");
console.log(`listening on ${await app.getUrl()}`);
