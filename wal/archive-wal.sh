#!/bin/sh
# archive_command of a protected cluster: archive-wal SPOOL PATH NAME
#
# Puts a finished WAL file into SPOOL/incoming and answers 0 only when it is durable there: from then on PostgreSQL may
# recycle its own copy, and nobody else has one. pgproof's shipper takes it from there to the repository.
#   0     the same bytes lie in SPOOL/incoming under NAME, file and folder both flushed to disk
#   1     anything else: PostgreSQL keeps the file and tries again
# Never another code: above 125, or by a signal, PostgreSQL's archiver itself would end.
# POSIX sh; runs under dash and busybox, with nothing but cat, cmp, cp, ln, rm and sync.

umask 077
temp=''

fail() {
  [ -z "$temp" ] || rm -f -- "$temp"
  echo "archive-wal: ${name:-?}: $1" >&2
  exit 1
}

# An earlier attempt that was killed leaves its copy behind, named by its process. Taking one away from an attempt that
# lives after all (in another container) makes that attempt fail, and PostgreSQL repeats it: nothing is lost by it.
remove_leftovers() {
  for left in "$incoming"/."$name".*; do
    pid=${left##*.}
    case $pid in *[!0-9]*) continue ;; esac
    [ "$pid" != $$ ] && kill -0 "$pid" 2>/dev/null || rm -f -- "$left"
  done
}

# The copy is compared with what PostgreSQL has, not only counted: what is published can not be taken back.
copy() {
  temp=$incoming/.$name.$$
  # Created by us alone (-C is O_EXCL), so that no two processes ever write into one file.
  (set -C && : >"$temp") || { temp='' && fail 'another attempt with this process id left its copy behind'; }
  cp -- "$path" "$temp" || fail 'it cannot be copied into the spool'
  cmp -s -- "$path" "$temp" || fail 'its copy in the spool differs from it'
  sync "$temp" || fail 'its copy cannot be flushed to disk'
}

# ln refuses an existing name; mv -n would answer 0 without having moved anything.
publish() {
  ln -- "$temp" "$incoming/$name" 2>/dev/null && return
  [ -e "$incoming/$name" ] || fail 'it cannot be linked into the spool'
  cmp -s -- "$path" "$incoming/$name" || fail 'the spool holds other bytes under this name'
  # An attempt that was killed may have published it without having come to the flush of the folder.
  sync "$incoming/$name" || fail 'the file in the spool cannot be flushed to disk'
}

main() {
  [ $# -eq 3 ] || fail 'usage: archive-wal SPOOL PATH NAME'
  spool=$1 path=$2 name=$3 incoming=$1/incoming
  case $name in '' | *[!0-9A-Za-z.]* | .*) fail 'not the name of a WAL file' ;; esac
  # pgproof makes the folder. Made here, it could hide a spool that is not mounted.
  [ -d "$incoming" ] || fail "there is no folder $incoming"
  remove_leftovers
  trap 'fail "interrupted"' HUP INT TERM
  copy
  publish
  rm -f -- "$temp" || fail 'its copy cannot be removed'
  sync "$incoming" "$spool" || fail 'the spool folder cannot be flushed to disk'
  exit 0
}

main "$@"
exit 1
