/** Decrypts an object of cipher aes-256-gcm with PyPI's tink, trying each key of the key file: at most 20 lines. */
export const decryptProgram = `# python3 decrypt.py KEY_FILE REPOSITORY OBJECT > decrypted
import base64, json, shutil, sys
import tink
from tink import secret_key_access, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2 as streaming, common_pb2, tink_pb2

key_file, repository, name = sys.argv[1:]
params = streaming.AesGcmHkdfStreamingParams(
    ciphertext_segment_size=1 << 20, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256)
keyset = tink_pb2.Keyset(primary_key_id=1)
for number, key_set in enumerate([s for s in json.load(open(key_file))['keySets'] if 'dataKey' in s], 1):
    key = streaming.AesGcmHkdfStreamingKey(key_value=base64.b64decode(key_set['dataKey']), params=params)
    data = tink_pb2.KeyData(type_url='type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey',
                            value=key.SerializeToString(), key_material_type=tink_pb2.KeyData.SYMMETRIC)
    keyset.key.add(key_data=data, status=tink_pb2.ENABLED, key_id=number, output_prefix_type=tink_pb2.RAW)
streaming_aead.register()
handle = tink.proto_keyset_format.parse(keyset.SerializeToString(), secret_key_access.TOKEN)
with handle.primitive(streaming_aead.StreamingAead).new_decrypting_stream(
        open(repository + '/' + name, 'rb'), name.removesuffix('.zst.enc').encode()) as plain:
    shutil.copyfileobj(plain, sys.stdout.buffer, 1 << 20)
`;

/** What both scripts below begin with: how an object is opened. */
export const decodeScript = `set -euo pipefail
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
keys=$(printenv KEY_FILE || true)
fail() { echo "$*" >&2; exit 1; }
from_keys() {                                 # PYTHON ARGUMENT...
  code="import base64, json, sys; k = json.load(open(sys.argv[1]))['keySets']; $1"
  shift
  "$PYTHON" -c "$code" "$keys" "$@"
}
decoded() {                                   # an object's content, decrypted and decompressed
  case $1 in
  *.enc) decrypted "$1" | zstd -dcq ;;
  *) zstd -dcq "$REPOSITORY/$1" ;;
  esac
}
decrypted() {                                 # by whichever key of the key file opens it; its first bytes tell the cipher
  case $(head -c 4 "$REPOSITORY/$1" | od -An -tx1 | tr -d ' ') in
  6167652d) age -d -i <(from_keys "[print(s['identity']) for s in k if 'identity' in s]") "$REPOSITORY/$1" ;;
  53616c74) by_openssl "$1" ;;
  28*) "$PYTHON" "$here/decrypt.py" "$keys" "$REPOSITORY" "$1" ;;
  *) fail "$1 is damaged: it is encrypted with nothing that is known here" ;;
  esac
}
by_openssl() {                                # the right passphrase is the one that leads to zstd's first four bytes
  local cipher passphrase
  while read -r cipher passphrase; do
    opened() { openssl enc -d "-$cipher" -pbkdf2 -pass "file:"<(echo "$passphrase"); }
    begin=$(head -c 48 "$REPOSITORY/$1" | opened 2>/dev/null | head -c 4 | od -An -tx1 || true)
    if test "$begin" = ' 28 b5 2f fd'; then opened <"$REPOSITORY/$1"; return; fi
  done < <(from_keys "
for s in k:
    if s['cipher'].endswith('cbc') and 'dataKey' in s:
        print(s['cipher'], base64.urlsafe_b64encode(base64.b64decode(s['dataKey'])).decode().rstrip('='))")
  fail "no key of the key file opens $1"
}
from_record() { "$PYTHON" -c "import json, sys; r = json.load(open(sys.argv[1])); $1" "$record"; }
new_folder() {                                # PATH
  mkdir -p "$1" && chmod 700 "$1"
  test -z "$(ls -A "$1")" || fail "$1 is not empty"
}
existing() {                                  # FOLDER ID WHAT: its record, unless it was deleted
  deleted=$(find "$REPOSITORY/$1" -maxdepth 1 -name "$2.*deleted.json")
  test -z "$deleted" || fail "this $3 was deleted: $deleted"
  record=$REPOSITORY/$1/$2.json
}
same_parts() {                                # EXPRESSION: the parts, of the record r
  echo "checking the stored parts against the record"
  from_record "[print(p['sha256'] + '  ' + p['key']) for p in $1]" | (cd "$REPOSITORY" && sha256sum --check --quiet)
}
`;

/** Checks, unpacks and configures; it does not start the server. */
export const restoreScript = String.raw`. "$(dirname "$0")/decode.sh"
wal_keys=$(printenv WAL_KEY_FILE || echo "$keys")   # WAL may have a key of its own
tag_of() {                                    # of a decoded WAL file: OBJECT NAME FILE
  case $1 in
  *.zst) sha256sum <"$3" | cut -c1-32 ;;
  *) from_keys "
import hmac
tag = hmac.new(base64.b64decode(k[0]['identityKey']), digestmod='sha256')
for name in sys.argv[2:5]: tag.update(name.encode() + b'\0')
tag.update(open(sys.argv[5], 'rb').read())
print(tag.hexdigest()[:32])" "$CLUSTER" "$ERA" "$2" "$3" ;;
  esac
}
parts_of() { from_record "[print(p['key']) for t in r['tablespaces'] if t['name'] == '$1' for p in t['parts']]"; }

existing "$CLUSTER/$ERA/backups" "$BACKUP" backup
new_folder "$INTO"
new_folder "$WAL"
same_parts "[p for t in r['tablespaces'] for p in t['parts']] + [r['manifest']]"

echo "unpacking"
parts_of pgdata | while read -r part; do decoded "$part"; done | tar -x -C "$INTO"
decoded "$(from_record "print(r['manifest']['key'])")" >"$INTO/backup_manifest"
for oid in $(from_record "[print(t['name']) for t in r['tablespaces'] if t['name'] != 'pgdata']"); do
  mkdir -p "$INTO/tablespaces/$oid"
  parts_of "$oid" | while read -r part; do decoded "$part"; done | tar -x -C "$INTO/tablespaces/$oid"
  ln -sfn "$INTO/tablespaces/$oid" "$INTO/pg_tblspc/$oid"
done
pg_verifybackup --no-parse-wal --ignore tablespaces "$INTO"
if test -e "$INTO/tablespace_map"; then       # PostgreSQL makes the links again from this file
  sed -i -E "s|^([0-9]+) .*|\1 $INTO/tablespaces/\1|" "$INTO/tablespace_map"
fi

echo "decoding the WAL"
first=$(from_record "
size = r['segmentBytes']
high, low = [int(half, 16) for half in r['startLsn'].split('/')]
print('%08X%08X' % (high, low // size))")
keys=$wal_keys
(cd "$REPOSITORY" && find "$CLUSTER/$ERA/wal" -type f) | sort | while read -r object; do
  name=$(basename "$object") segment=$(basename "$object" | cut -d- -f1)
  if [[ $(printf %s "$segment" | cut -c9-24) < $first ]]; then continue; fi
  test ! -e "$WAL/$segment" || fail "two different files for $segment: somebody must decide which is right"
  decoded "$object" >"$WAL/$segment"
  test "$(tag_of "$object" "$segment" "$WAL/$segment")" = "$(printf %s "$name" | cut -c26-57)" ||
    fail "$object is damaged: its content does not fit its tag"
done
(cd "$REPOSITORY" && find "$CLUSTER/$ERA" -path '*/timelines/*.history') | while read -r history; do
  file=$(basename "$history" | cut -c1-8).history
  test ! -e "$WAL/$file" || fail "two different files for $file: somebody must decide which is right"
  cp "$REPOSITORY/$history" "$WAL/$file"
done

cat >>"$INTO/postgresql.auto.conf" <<END
restore_command = 'cp "$WAL/%f" "%p"'
recovery_target_timeline = 'latest'
recovery_target_action = 'pause'
archive_command = '/bin/false'
END
touch "$INTO/recovery.signal"
echo "ready: $INTO"
`;

/** Checks a dump and writes it as pg_dump wrote it; it loads nothing. */
export const dumpScript = String.raw`. "$(dirname "$0")/decode.sh"
stream() {                                    # NAME FILE: the parts of r[NAME], decoded and joined; they must be what pg_dump wrote
  from_record "[print(p['key']) for p in r['$1']['parts']]" | while read -r part; do decoded "$part"; done >"$2"
  echo "$(from_record "print(r['$1']['sha256'])")  $2" | sha256sum --check --quiet
}

existing "$CLUSTER/dumps" "$DUMP" dump
new_folder "$INTO"
same_parts "r['dump']['parts'] + (r['globals'] or {'parts': []})['parts']"

echo "decoding"
name=$(from_record "print(r['dump']['parts'][0]['key'])" | sed -E 's|.*/||; s|\.1\.zst(\.enc)?$||')
stream dump "$INTO/$name"
test "$(from_record "print(r['globals'] is None)")" = True || stream globals "$INTO/globals.sql"
if test "$name" = dump.directory.tar; then    # large files lie in it in pieces: FILE.000001, FILE.000002 ...
  mkdir "$INTO/dump.directory"
  tar -x -C "$INTO/dump.directory" -f "$INTO/$name"
  rm "$INTO/$name"
  find "$INTO/dump.directory" -name '*.[0-9][0-9][0-9][0-9][0-9][0-9]' | sort | while read -r piece; do
    cat "$piece" >>"$(echo "$piece" | sed -E 's|\.[0-9]{6}$||')"
    rm "$piece"
  done
fi
echo "ready: $INTO"
`;
