import { useMemo, useState } from "preact/hooks";
import type { JsonText } from "../../../src/admin/contract/job-views.ts";
import { bytesText, exactNumber } from "../format/numbers.ts";
import { Copy } from "../parts/copy.tsx";
import { type JsonMember, type JsonNode, prettyJson, readJsonTree } from "./json-tree.ts";

/** What is opened at first: this deep, and not more than this many members. */
const OPEN_DEPTH = 3;
const OPEN_MEMBERS = 50;

/** A payload as a tree that can be opened, or as the text that it is. */
export function PayloadTree({ payload, title = "Payload" }: { readonly payload: JsonText; readonly title?: string }) {
  const { text, bytes, isTruncated, isRedacted } = payload;
  const tree = useMemo(() => (isTruncated ? undefined : readJsonTree(text)), [text, isTruncated]);
  const [isRaw, setRaw] = useState(tree === undefined);
  return (
    <section class="payload" aria-label={title}>
      <header>
        <h2>{title}</h2>
        <span class="quiet" title={`${exactNumber(bytes)} bytes`}>
          {bytesText(bytes)}
        </span>
        {isRedacted && <span class="badge">partly redacted</span>}
        {tree && (
          <div class="choice" role="group" aria-label="Form">
            <button type="button" aria-pressed={!isRaw} onClick={() => setRaw(false)}>
              tree
            </button>
            <button type="button" aria-pressed={isRaw} onClick={() => setRaw(true)}>
              text
            </button>
          </div>
        )}
        <Copy text={text} label={`Copy the ${title.toLowerCase()}`} />
      </header>
      {isTruncated && <p class="notice">Only its beginning is shown.</p>}
      {tree && !isRaw ? (
        <div class="tree mono">
          <Node node={tree} depth={0} />
        </div>
      ) : (
        <pre tabIndex={0}>{tree ? prettyJson(tree) : text}</pre>
      )}
    </section>
  );
}

function Node({ node, name, depth }: { node: JsonNode; name?: string; depth: number }) {
  const label = name === undefined ? null : <span class="key">{name}: </span>;
  if (!("members" in node)) {
    return (
      <div class="leaf">
        {label}
        <span class={node.text === '"[redacted]"' ? "redacted" : node.kind}>{node.text}</span>
      </div>
    );
  }
  const [open, close] = node.kind === "object" ? "{}" : "[]";
  if (node.members.length === 0) {
    return (
      <div class="leaf">
        {label}
        {open}
        {close}
      </div>
    );
  }
  return (
    <details open={depth < OPEN_DEPTH && node.members.length <= OPEN_MEMBERS}>
      <summary>
        {label}
        <span class="quiet">
          {open}
          {node.members.length}
          {close}
        </span>
      </summary>
      <Members members={node.members} isObject={node.kind === "object"} depth={depth + 1} />
    </details>
  );
}

/** More members than a browser draws quickly are drawn when they are asked for. */
const MOST_MEMBERS = 200;

function Members({ members, isObject, depth }: { members: readonly JsonMember[]; isObject: boolean; depth: number }) {
  const [most, setMost] = useState(MOST_MEMBERS);
  return (
    <>
      {members.slice(0, most).map(({ key, node }) => (
        <Node key={key} node={node} name={isObject ? JSON.stringify(key) : key} depth={depth} />
      ))}
      {members.length > most && (
        <button type="button" class="link" onClick={() => setMost(most * 5)}>
          {exactNumber(members.length - most)} more
        </button>
      )}
    </>
  );
}
