import { describeSource } from "../../contract/source.ts";

describeSource("the direct source", { localQueue: false });
