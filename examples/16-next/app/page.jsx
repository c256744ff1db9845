import { welcome } from "./actions.js";

export default function Page() {
  return (
    <form action={welcome}>
      <input name="to" type="email" required />
      <button type="submit">Send a welcome</button>
    </form>
  );
}
