import { describeLibrary } from "./describe-library.ts";
import { LIBRARIES } from "./libraries.ts";

for (const library of LIBRARIES) describeLibrary(library);
