#!/bin/sh
# Becomes the given command after noting its pid, with its output going straight to its log file: neither a pipe that
# breaks nor a pid that is lost when the supervisor itself is killed.
umask 077
note=$CAUSEWAY_HOME/processes/$CAUSEWAY_PROCESS.pid
# what dies right after its start is started again a little slower, so that a broken set-up does not eat the machine
if [ -n "$(find "$note" -newermt '5 seconds ago' 2>/dev/null)" ]; then sleep 1; fi
echo $$ >"$note"
exec "$@" </dev/null >>"$CAUSEWAY_HOME/logs/$CAUSEWAY_PROCESS.log" 2>&1
