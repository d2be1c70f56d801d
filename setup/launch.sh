# Shared by ./pgproof and test/run: plain sh, because the host's Node may be too old for everything else. Sourced with
# `root` set to the checkout.

say() { printf 'pgproof: %s\n' "$*" >&2; }
die() { code=$1; shift; say "$*"; exit "$code"; }

# Any Node from 20 on can run npm; the project itself runs on the Node 24 that npm brings (node_modules/.bin/node).
need_node() {
  command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 ||
    die 2 "Node.js 20 or newer with npm is needed. On Debian and Ubuntu: apt-get install nodejs npm"
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge 20 ] || die 2 "Node.js 20 or newer is needed, this is $(node --version) ($(command -v node))"
}

# What is compiled belongs to our cache, like everything else that setup or a run keeps: what Node makes of our sources (half
# of the time that a verb needs to start), and the native half of the compiler behind Temporal's bundler.
keep_in_cache() {
  : "${PGPROOF_COMPILED:=$(own_cache)/compiled}"
  mkdir -p "$PGPROOF_COMPILED/swc" "$PGPROOF_COMPILED/node" 2>/dev/null || return 0
  export SWC_NATIVE_BINDING_CACHE="$PGPROOF_COMPILED/swc" NODE_COMPILE_CACHE="$PGPROOF_COMPILED/node"
}
own_cache() {
  if [ -n "${PGPROOF_CACHE:-}" ]; then echo "$PGPROOF_CACHE"
  elif [ "$(id -u)" = 0 ]; then echo /var/cache/pgproof
  else echo "${XDG_CACHE_HOME:-$HOME/.cache}/pgproof"; fi
}

lock_hash() { sha256sum <"$root/package-lock.json" | cut -c1-16; }
modules_current() { [ "$(cat "$root/node_modules/.pgproof-stamp" 2>/dev/null)" = "$(lock_hash)" ]; }

# npm 9 drops the link to a program when the package for another processor, left out, claims the same name.
finish_modules() {
  bin=$root/node_modules/.bin
  [ -x "$bin/node" ] || ln -sfn "../node-linux-$(node -p process.arch)/bin/node" "$bin/node"
  [ -x "$bin/node" ] && lock_hash >"$root/node_modules/.pgproof-stamp"
}

# Once per package-lock.json. The lock is on the checkout folder itself: it leaves no file and dies with its holder.
install_modules() {
  modules_current && return
  need_node
  [ "${PGPROOF_INSTALL:-}" != no ] ||
    die 2 "npm packages are missing and PGPROOF_INSTALL=no; run: cd $root && npm ci"
  [ -w "$root" ] || die 2 "npm packages are missing and $root belongs to somebody else; run as its owner: cd $root && npm ci"
  exec 9<"$root"
  flock -n 9 || { say 'waiting for another installation in this checkout'; flock 9; }
  if ! modules_current; then
    say "installing npm packages into $root/node_modules (about a minute, once)"
    (cd "$root" && timeout 1200 npm ci --no-audit --no-fund --no-update-notifier --ignore-scripts --loglevel=error 1>&2 9<&-) ||
      die 1 "npm ci failed; run it by hand to see why: cd $root && npm ci"
    finish_modules || die 1 "npm ci brought no Node for this machine ($(uname -sm)); Linux on x64 and arm64 is supported"
  fi
  exec 9<&-
}

# Looks for servers and tools, installs what is missing (packages are named first), exits 2 where it may not or cannot.
provision() { "$root/node_modules/.bin/node" "$root/setup/main.ts" "$@" || exit $?; }

# PostgreSQL refuses root, so root continues as the OS user that owns databases. Never returns for root.
leave_root() { # leave_root SCRIPT ARGS…   SCRIPT is relative to the checkout
  [ "$(id -u)" = 0 ] || return 0
  script=$1; shift
  id postgres >/dev/null 2>&1 || die 1 'there is no OS user postgres, though setup ended well'
  home=$(getent passwd postgres | cut -d: -f6)
  as_postgres test -r "$root/package.json" -a -x "$root/node_modules/.bin/node" || copy_checkout
  as_postgres test -x "$PWD" -a -r "$PWD" || cd "$root"
  [ -z "${TMPDIR:-}" ] || as_postgres test -w "$TMPDIR" || unset TMPDIR
  PGPROOF_COMPILED=$(own_cache)/compiled-postgres # the shared cache belongs to root
  [ -d "$PGPROOF_COMPILED" ] || install -d -o postgres -m 755 "$PGPROOF_COMPILED"
  export PGPROOF_COMPILED
  unset XDG_CACHE_HOME XDG_CONFIG_HOME XDG_DATA_HOME XDG_STATE_HOME XDG_RUNTIME_DIR
  exec setpriv --reuid postgres --regid postgres --init-groups \
    env HOME="$home" USER=postgres LOGNAME=postgres PGPROOF_CACHE="$(own_cache)" "$root/$script" "$@"
}
as_postgres() { setpriv --reuid postgres --regid postgres --init-groups "$@"; }

# A checkout below /root is closed to other users: they run a copy. Its name is its content, so a copy in use by
# another run never changes, and npm's half a gigabyte is copied once per package-lock.json.
copy_checkout() {
  copies=$(own_cache)/checkout
  modules=$copies/modules-$(lock_hash)
  hash=$(cd "$root" && tree_as_tar | sha256sum | cut -c1-16)
  copy=$copies/$hash
  mkdir -p "$copies"
  exec 9<"$copies"; flock 9
  if [ ! -d "$modules" ]; then
    say "copying npm packages to $modules, where user postgres can read them (once)"
    mkdir -p "$modules.tmp"
    cp -a "$root/node_modules" "$modules.tmp/" && chmod -R a+rX "$modules.tmp" && mv -T "$modules.tmp" "$modules" ||
      die 1 "could not copy $root/node_modules to $modules"
  fi
  if [ ! -d "$copy" ]; then
    say "copying this checkout to $copy, because user postgres cannot read $root"
    rm -rf "$copy.tmp"; mkdir "$copy.tmp"
    (cd "$root" && tree_as_tar) | tar -C "$copy.tmp" -xf - && chmod -R a+rX "$copy.tmp" &&
      ln -s "$modules/node_modules" "$copy.tmp/node_modules" && mv -T "$copy.tmp" "$copy" ||
      die 1 "could not copy $root to $copy"
  fi
  touch "$copy" "$modules"
  find "$copies" -mindepth 1 -maxdepth 1 -mtime +7 -exec rm -rf {} + # copies of checkouts that nobody runs any more
  exec 9<&-
  root=$copy
}
tree_as_tar() { tar --sort=name --mtime=@0 --owner=0 --group=0 --exclude=./.git --exclude=./node_modules -cf - .; }
