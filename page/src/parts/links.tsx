import { inPath, usePage } from "../page.ts";

/** An id that leads to its job. */
export function JobLink({ id }: { readonly id: string }) {
  return (
    <a class="id" href={usePage().href(`jobs/${id}`)}>
      {id}
    </a>
  );
}

/** A name that leads to what it names. */
export function NameLink({ of, name }: { readonly of: "queues" | "tasks" | "workers"; readonly name: string }) {
  return (
    <a class="name" href={usePage().href(`${of}/${inPath(name)}`)}>
      {name}
    </a>
  );
}
