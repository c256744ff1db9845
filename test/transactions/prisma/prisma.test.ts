import { describeLibrary } from "../describe-library.ts";
import { prisma } from "./prisma-library.ts";

describeLibrary(prisma);
