import { type FormEvent, useState } from "react";
import { Popup } from "../open/Popup";
import { useAbout } from "../server/about";
import { isLoggedIn, logIn, logOut } from "../server/session";

/** Who one is, on a server that wants to know. */
export function LogIn() {
  const about = useAbout();
  const [key, setKey] = useState("");
  if (!about?.access && !isLoggedIn()) return null;
  const enter = (event: FormEvent) => {
    event.preventDefault();
    if (!key.trim()) return;
    logIn(key);
    window.location.reload();
  };
  const leave = () => {
    logOut();
    window.location.reload();
  };
  if (isLoggedIn())
    return (
      <button type="button" className="plain-button" onClick={leave} title={about ? `logged in as ${about.user}` : "the key is not good"}>
        {about?.user ? `${about.user} · ` : ""}Log out
      </button>
    );
  if (about?.user) return <span className="hint">{about.user}</span>;
  return (
    <Popup title="Log in">
      <form className="log-in" onSubmit={enter}>
        <label>
          API key or token
          <input type="password" autoComplete="off" autoFocus value={key} onChange={(event) => setKey(event.target.value)} />
        </label>
        <p className="hint">Kept until this tab is closed, and shown to this server only.</p>
        <button type="submit" className="plain-button">
          Log in
        </button>
      </form>
    </Popup>
  );
}
