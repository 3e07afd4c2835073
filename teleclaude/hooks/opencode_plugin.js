// Of teleclaude: tells its daemon what opencode does, by one file an event, as the hooks of other agents do.
// Written by `teleclaude hooks install opencode`, and removed by `teleclaude hooks uninstall opencode`.
import fs from "fs"

const SPOOL = "@SPOOL@"
const MOST = 512 // files that lie there when nobody reads them
const LIMIT = 256 * 1024 // bytes
const EVENTS = new Set([
  "session.created", "session.status", "session.idle", "session.error", "session.deleted", "session.compacted",
  "permission.asked", "permission.replied", "question.asked", "question.replied", "question.rejected",
])
let number = 0

function line(text) {
  return String(text ?? "").split("\n")[0]
}

function report(event, body) {
  try {
    if (fs.readdirSync(SPOOL).length >= MOST) return
    const head = `agent=opencode\nevent=${line(event)}\nparent=${process.pid}\n` +
      `pane=${line(process.env.TMUX_PANE)}\ntmux=${line(process.env.TMUX)}\n\n`
    const text = JSON.stringify(body ?? {})
    const name = `${process.pid}-${Date.now()}-${number++}`
    fs.writeFileSync(`${SPOOL}/.${name}`, head + (Buffer.byteLength(text) < LIMIT ? text : ""), { mode: 0o600 })
    fs.renameSync(`${SPOOL}/.${name}`, `${SPOOL}/${name}`)
  } catch {
    // Without a daemon, or with a full disk, opencode goes on as if this were not here.
  }
}

function prompt(parts) {
  try {
    return parts.filter((part) => part.type === "text" && !part.synthetic).map((part) => part.text).join("\n")
  } catch {
    return ""
  }
}

export const Teleclaude = async ({ directory }) => {
  report("plugin-init", { directory })
  return {
    event: async ({ event }) => {
      if (EVENTS.has(event?.type)) report(event.type, { cwd: directory, ...event.properties })
    },
    "tool.execute.before": async (input) => report("tool.execute.before", { cwd: directory, ...input }),
    "tool.execute.after": async (input) =>
      report("tool.execute.after", { cwd: directory, tool: input?.tool, sessionID: input?.sessionID, callID: input?.callID }),
    "chat.message": async (input, output) =>
      report("chat.message", { cwd: directory, ...input, prompt: prompt(output?.parts) }),
  }
}
