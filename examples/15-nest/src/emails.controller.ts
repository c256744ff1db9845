import { Body, Controller, HttpCode, Inject, Post } from "@nestjs/common";
import type { Client } from "howdah";
import { CLIENT } from "./jobs.module.js";
import { sendEmail } from "./tasks.js";

@Controller("emails")
export class EmailsController {
  constructor(@Inject(CLIENT) private readonly client: Client) {}

  @Post()
  @HttpCode(202)
  async send(@Body() body: { to: string }): Promise<{ id: string }> {
    const { id } = await this.client.addJob(sendEmail, { to: body.to });
    return { id };
  }
}
