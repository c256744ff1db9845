import type { Order } from "./what-if-state.ts";
export function WhatIfDialog({ order }: { readonly order: Order }) {
  return <p>{order.words}</p>;
}
