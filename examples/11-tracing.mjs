/** The span of an add and the span of its run, which are linked, with OpenTelemetry. */
import { context, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { createWorker, defineTask } from "howdah";
import { startPostgresUnlessGiven } from "howdah/embedded";
import { openTelemetry } from "howdah/opentelemetry";

// Your application has this part already, with an exporter that sends the spans somewhere.
const spans = new InMemorySpanExporter();
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }));

const postgres = await startPostgresUnlessGiven();

const resize = defineTask({
  identifier: "resize",
  async run() {},
});

const worker = await createWorker({
  connectionString: postgres.connectionString,
  schema: "howdah_examples",
  tasks: [resize],
  plugins: [openTelemetry()],
});

const request = trace.getTracer("web").startSpan("POST /pictures");
await context.with(trace.setSpan(context.active(), request), () => worker.client.addJob(resize, { picture: 7 }));
request.end();
await worker.runOnce();
await worker.stop();

const [add, run] = ["add resize", "run resize"].map((name) =>
  spans.getFinishedSpans().find((span) => span.name === name),
);
console.log(`${add.name} belongs to the request: ${add.parentSpanContext.spanId === request.spanContext().spanId}`);
console.log(`${run.name} is linked to it: ${run.links[0].context.spanId === add.spanContext().spanId}`);
await postgres.stop();
