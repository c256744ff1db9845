import type { PoolView, QueueLimitsView } from "../../../../src/admin/contract/group-views.ts";
import { durationText } from "../../format/durations.ts";
import { exactNumber } from "../../format/numbers.ts";
import { usePage } from "../../page.ts";
import { Moment } from "../../parts/figures.tsx";

interface LimitProps {
  readonly limits: QueueLimitsView;
  readonly pool: PoolView | null;
}

/** What the rules of a queue are, and what they leave to its jobs now. */
export function LimitFacts({ limits, pool }: LimitProps) {
  const { rule, rate, share, parkedUntil, isWaiting } = limits;
  return (
    <dl class="facts">
      <div>
        <dt>Rules of</dt>
        <dd class={rule === null ? "quiet" : "mono"}>{rule ?? "none any more"}</dd>
      </div>
      <div>
        <dt>Running</dt>
        <dd>{runningText(limits)}</dd>
      </div>
      <div>
        <dt>Rate</dt>
        <dd>{rate === null ? <span class="none">-</span> : rateText(rate)}</dd>
      </div>
      {rate !== null && (
        <div>
          <dt>Next start</dt>
          <dd>
            <NextStart at={limits.nextStartAt} />
          </dd>
        </div>
      )}
      {parkedUntil !== null && (
        <div>
          <dt>Parked until</dt>
          <dd>
            <Moment at={parkedUntil} />
          </dd>
        </div>
      )}
      <div>
        <dt>Share of the turns</dt>
        <dd>{share}</dd>
      </div>
      <div>
        <dt>Pool</dt>
        <dd>
          <PoolWords name={limits.pool} pool={pool} />
        </dd>
      </div>
      {isWaiting && (
        <div>
          <dt>Other rules</dt>
          <dd>once what runs has ended</dd>
        </div>
      )}
    </dl>
  );
}

/** The same in a few words, for a row. */
export function LimitMarks({ limits }: Pick<LimitProps, "limits">) {
  const page = usePage();
  const { parkedUntil, nextStartAt, pool, isWaiting } = limits;
  const isLater = (at: string | null): boolean => at !== null && Date.parse(at) > page.now.value;
  return (
    <>
      {runningText(limits)}
      {isWaiting && ", waits for other rules"}
      {isLater(parkedUntil) && (
        <>
          , parked until <Moment at={parkedUntil} />
        </>
      )}
      {isLater(nextStartAt) && (
        <>
          , next start <Moment at={nextStartAt} />
        </>
      )}
      {pool !== null && <span class="quiet"> in pool {pool}</span>}
    </>
  );
}

function NextStart({ at }: { readonly at: string | null }) {
  const page = usePage();
  return at === null || Date.parse(at) <= page.now.value ? <>now</> : <Moment at={at} />;
}

function PoolWords({ name, pool }: { readonly name: string | null; readonly pool: PoolView | null }) {
  if (name === null) return <span class="none">-</span>;
  if (pool === null) return <>{name}</>;
  return (
    <>
      {name}
      {pool.running !== null && <>: {runningText({ concurrency: pool.concurrency, running: pool.running })}</>}
      {pool.nextStartAt !== null && (
        <>
          , next start <NextStart at={pool.nextStartAt} />
        </>
      )}
    </>
  );
}

/** `3 of 5 run`, `12 run, no limit`. */
function runningText({ concurrency, running }: Pick<QueueLimitsView, "concurrency" | "running">): string {
  if (concurrency === null) return `${exactNumber(running)} ${running === 1 ? "runs" : "run"}, no limit`;
  return `${exactNumber(running)} of ${exactNumber(concurrency)} ${concurrency === 1 ? "runs" : "run"}`;
}

/** `100 in 1 m, 20 at once`. */
function rateText({ limit, perMs, burst }: NonNullable<QueueLimitsView["rate"]>): string {
  return `${exactNumber(limit)} in ${durationText(perMs)}, ${exactNumber(burst)} at once`;
}
