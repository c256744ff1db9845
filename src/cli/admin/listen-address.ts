import { InvalidArgumentError } from "commander";

/** Where a server listens. */
export interface ListenAddress {
  /** A name or an address, without the brackets of IPv6. */
  readonly host: string;
  /** 0 for any that is free. */
  readonly port: number;
}

/** Reads `host:port`, or a port alone, as commander wants it. A port alone is one of 127.0.0.1. */
export function parseListenAddress(text: string): ListenAddress {
  const [, bracketed, plain = "", digits = ""] =
    /^(?:(?:\[([\d:a-f.]+)\]|([^:[\]\s/]+)):)?(\d{1,5})$/i.exec(text) ?? [];
  const port = Number(digits);
  if (digits === "" || port > 65_535) {
    throw new InvalidArgumentError("It has to be an address and a port, such as 127.0.0.1:5678 or [::1]:5678.");
  }
  return { host: bracketed ?? (plain === "" ? "127.0.0.1" : plain), port };
}

/** As it stands in a URL. */
export function formatListenAddress({ host, port }: ListenAddress): string {
  return `${host.includes(":") ? `[${host}]` : host}:${port}`;
}
