import { Injectable } from "@nestjs/common";

/** A service of the application, which handlers of jobs use too. */
@Injectable()
export class Mailer {
  async send(to: string): Promise<void> {
    console.log(`an email to ${to}`);
  }
}
