import { LocationProvider } from "preact-iso";
import { type Page, PageContext } from "./page.ts";
import { Gate } from "./shell/gate.tsx";
import { Shell } from "./shell/shell.tsx";

/** The whole page. */
export function App({ page }: { readonly page: Page }) {
  return (
    <PageContext.Provider value={page}>
      <LocationProvider scope={page.base}>
        <Gate>
          <Shell />
        </Gate>
      </LocationProvider>
    </PageContext.Provider>
  );
}
