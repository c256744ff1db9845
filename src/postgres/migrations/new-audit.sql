-- What people changed through the admin API.

set local search_path = pg_catalog, pg_temp;

-- An entry is written before the change and gets its outcome after it: what is
-- not recorded is not done. One that stays "begun" belongs to a process that ended.
create table :"schema"._howdah_audit (
  id bigint generated always as identity (sequence name :"schema"._howdah_audit_id_seq),
  at timestamptz not null default now(),
  who text not null,
  action text not null,
  -- Ids, names and filters, without payloads.
  target jsonb not null,
  -- "begun", "done", or the code of an error.
  outcome text not null default 'begun',
  -- How many jobs were changed; null where that is not known.
  count bigint,
  -- The operation that it began or changed.
  operation_id bigint,
  -- Stands for the preview that it began: whatever process reads it, that is done once.
  preview text,
  constraint _howdah_audit_pkey primary key (id)
);

-- Who began an operation is looked up with each view of it.
create index _howdah_audit_operation_idx on :"schema"._howdah_audit (operation_id) where action = 'operations.start';

create unique index _howdah_audit_preview_idx on :"schema"._howdah_audit (preview) where preview is not null;
