#!/bin/sh
# restore_command of a recovery: restore-wal FOLDER NAME PATH
#
# FOLDER is kept by pgproof's prefetcher, which puts a file into `ready` only after its content was checked.
# PostgreSQL takes the exit codes 1 to 125 for "the archive ends here" and may promote. So:
#   0    the checked file is at PATH
#   1    the inventory, read whole, does not list NAME; nothing else ends in 1
#   255  every doubt: recovery stops, and can be started again
# Therefore no `set -e` and no `set -u`, and no redirection of a special built-in such as `:` (when one fails the shell itself
# ends, in 1 or 2). Should it end early all the same, the trap answers.
# POSIX sh; runs under dash and busybox.

answer=255
trap 'exit "$answer"' EXIT

doubt() {
  echo "restore-wal: ${name:-?}: $1" >&2
  exit 255
}

# 0: listed. 1: the inventory has its last line, and not this one. 2: it could not be read.
listed() {
  grep -Fqx -- "$1" "$folder/inventory" 2>/dev/null
  case $? in
    0) return 0 ;;
    1) grep -Fqx -- 'end of inventory' "$folder/inventory" 2>/dev/null && return 1 ;;
  esac
  return 2
}

alive() {
  prefetcher=$(cat "$folder/prefetcher" 2>/dev/null) || return 1
  case $prefetcher in '' | *[!0-9]*) return 1 ;; esac
  kill -0 "$prefetcher" 2>/dev/null
}

wait_until_ready() {
  [ -f "$folder/ready/$name" ] && return
  limit=$(cat "$folder/limit" 2>/dev/null)
  case $limit in '' | *[!0-9]*) doubt 'the folder does not say how long to wait' ;; esac
  now=$(date +%s) || doubt 'there is no clock'
  deadline=$((now + limit))
  touch -- "$folder/wanted/$name" || doubt 'it cannot be asked for'
  until [ -f "$folder/ready/$name" ]; do
    [ -f "$folder/failed/$name" ] && doubt "$(cat "$folder/failed/$name" 2>/dev/null)"
    alive || doubt 'the prefetcher has ended'
    now=$(date +%s) || doubt 'there is no clock'
    [ "$now" -le "$deadline" ] || doubt "not delivered within $limit s"
    sleep 0.05 2>/dev/null || sleep 1
  done
}

main() {
  [ $# -eq 3 ] || doubt 'usage: restore-wal FOLDER NAME PATH'
  folder=$1 name=$2 path=$3
  case $name in '' | */* | .*) doubt 'not the name of a WAL file' ;; esac
  listed "$name"
  case $? in
    0) ;;
    1)
      answer=1
      exit
      ;;
    *) doubt 'the inventory cannot be read' ;;
  esac
  wait_until_ready
  # Taken back before the file is taken: whoever sees that it was taken sees no request for it, unless it is a new one.
  rm -f -- "$folder/wanted/$name"
  # Moved, not copied: it takes no second time to write, and tells the prefetcher to go on.
  mv -f -- "$folder/ready/$name" "$path" || doubt "it cannot be moved to $path"
  answer=0
  exit
}

main "$@"
