/** Better Auth's endpoints. Task: T-028 · Spec: plan.md#web-page */
import { auth } from "@/lib/auth";

const handle = (request: Request): Promise<Response> => auth().handler(request);

export { handle as GET, handle as POST };
