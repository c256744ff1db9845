import { Inject, Injectable, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from "@nestjs/common";
import { createWorker, type Worker } from "howdah";
import { Mailer } from "./mailer.js";
import { sendEmail } from "./tasks.js";

/** Asks for the client: `constructor(@Inject(CLIENT) private readonly client: Client)`. */
export const CLIENT = Symbol("howdah client");
const WORKER = Symbol("howdah worker");

/** Runs the worker from the start of the application to its end. */
@Injectable()
class Jobs implements OnApplicationBootstrap, OnApplicationShutdown {
  #running: Promise<void> | undefined;

  constructor(@Inject(WORKER) private readonly worker: Worker) {}

  onApplicationBootstrap(): void {
    this.#running = this.worker.run();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.worker.stop();
    await this.#running;
  }
}

@Module({
  providers: [
    Mailer,
    {
      provide: WORKER,
      inject: [Mailer],
      // The database is the one that DATABASE_URL names. Nest stops the worker, so signals are left to it.
      useFactory: (mailer: Mailer) =>
        createWorker({ tasks: [sendEmail], state: mailer, shutdown: { osSignals: false } }),
    },
    { provide: CLIENT, inject: [WORKER], useFactory: (worker: Worker) => worker.client },
    Jobs,
  ],
  exports: [CLIENT],
})
export class JobsModule {}
