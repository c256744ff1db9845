import { admin } from "../../../admin.mjs";

export const dynamic = "force-dynamic";
export const GET = async (request) => (await admin()).fetch(request);
export const POST = GET;
