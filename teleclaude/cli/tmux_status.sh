# shellcheck shell=sh
# `teleclaude status --tmux [--colours]`: how many sessions wait, work and failed, on all computers, for a status line.
#
# tmux runs it every few seconds, so it is no Python (which costs twenty times as much) and asks nobody: the cache process
# keeps the counts in a file (cache/counts_file.py). Prints nothing, and ends with 0, when no daemon runs.

runtime=${TELECLAUDE_RUNTIME_DIR-} # as core/paths.py has it
case $runtime in "~/"*) runtime=$HOME/${runtime#"~/"} ;; esac
if [ -z "$runtime" ]; then
    case ${XDG_RUNTIME_DIR-} in
        /*) runtime=$XDG_RUNTIME_DIR/teleclaude ;;
        *)
            uid=$(id -u)
            if [ -O "/run/user/$uid" ]; then runtime=/run/user/$uid/teleclaude; else runtime=/tmp/teleclaude-$uid; fi
            ;;
    esac
fi
[ -O "$runtime" ] || exit 0
# The lock names the daemon; one that was killed leaves its name behind.
{ read -r pid <"$runtime/lock" && kill -0 "$pid"; } 2>/dev/null || exit 0

say() { # NUMBER MARK STYLE, the marks and colours of the terminal client
    case $1 in '' | *[!0-9]* | 0) return 0 ;; esac
    if [ "$colours" ]; then line="${line:+$line }#[$3]$2$1#[default]"; else line="${line:+$line }$2$1"; fi
}

case ${1-} in --colours) colours=yes ;; *) colours= ;; esac
waiting='' working='' error='' line=''
{ while read -r name number; do
    case $name in
        waiting) waiting=$number ;;
        working) working=$number ;;
        error) error=$number ;;
    esac
done <"$runtime/counts"; } 2>/dev/null || exit 0
say "$waiting" ◆ 'fg=colour178,bold'
say "$working" ● 'fg=colour71'
say "$error" ✗ 'fg=colour167,bold'
[ -z "$line" ] || printf '%s\n' "$line"
exit 0
