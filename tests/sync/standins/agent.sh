#!/bin/sh
# A stand-in for an agent, in a real pane: `NAME ID` does the lines of the pipe `ID` beside it, one after the other.
here=${0%/*} agent=${0##*/} id=$1

title() { printf '\033]2;%s\007' "$1"; }

# Claude Code's state file: a status, and what it waits for.
state() {
    mkdir -p "$CLAUDE_CONFIG_DIR/sessions"
    printf '{"pid":%d,"sessionId":"%s","status":"%s","waitingFor":"%s","procStart":""}' "$$" "$id" "$1" "${2-}" \
        >"$CLAUDE_CONFIG_DIR/sessions/$$.json"
}

# The real script of our hooks: an event, and the file with what the agent tells.
hook() { "$HOOK_SCRIPT" "$agent" "$1" <"$2"; }

# The same, but what the agent tells comes only when the file `$3` is there.
hook_later() {
    { while [ ! -e "$3" ]; do sleep 0.02; done; cat "$2"; } | "$HOOK_SCRIPT" "$agent" "$1" &
    sleep 0.1
}

mkfifo "$here/$id"
exec 3<>"$here/$id"
while IFS= read -r line <&3; do eval "$line"; done
