/** The process of one measured side: calls one exported function and sends back what it returns. */
const [module, call] = process.argv.slice(2);

const inbox = [];
const waiting = [];
let input;
const started = new Promise((resolve) => {
  process.on("message", ({ kind, value }) => {
    if (kind === "input") {
      input = value;
      resolve();
    } else if (waiting.length > 0) waiting.shift()(value);
    else inbox.push(value);
  });
});

const channel = {
  send: (value) => process.send({ kind: "message", value }),
  next: () => (inbox.length > 0 ? Promise.resolve(inbox.shift()) : new Promise((resolve) => waiting.push(resolve))),
};

await started;
try {
  const exports = await import(module);
  await finish("result", await exports[call](input, channel));
} catch (error) {
  await finish("error", error?.stack ?? String(error));
}
process.exit();

function finish(kind, value) {
  return new Promise((resolve) => process.send({ kind, value }, resolve));
}
