import { decodeScript, decryptProgram, dumpScript, restoreScript } from './readme-programs.ts';

/**
 * README.txt at the top of every repository: how to restore with stock programs when pgproof is gone. A test follows it
 * to the letter.
 */
export const readmeText = `PGPROOF REPOSITORY, FORMAT 1

This folder holds base backups and write-ahead log (WAL) of PostgreSQL clusters, and dumps of databases. With pgproof, use

    pgproof list
    pgproof restore plan CLUSTER --to latest --into FOLDER
    pgproof restore plan CLUSTER --dump ID --database NEW_DATABASE

This page restores without it, with programs that any Linux has or can install: bash, python3, tar, zstd, and PostgreSQL: of
the same major version as the backup; for a dump, at least as new as the pg_dump that wrote it. Encrypted objects (names ending
in .enc) also need the key file, and one of these, by their cipher: Google's Tink library for Python (pip install tink), age,
openssl.

Nothing here is ever written to by reading it. Work on a copy if you can, and never inside this folder.

WHAT LIES WHERE

    CLUSTER/eras/ERA.json                    one initialised data directory each: 0001-pg15-SYSTEM_IDENTIFIER
    CLUSTER/ERA/backups/ID.json              a base backup exists because this file does. If there is also a file
                                             ID.*.deleted.json, it does not exist any more.
    CLUSTER/ERA/base/ID/pgdata.N.tar.zst     the data directory: parts 1, 2, 3 ..., decoded and joined one tar file
    CLUSTER/ERA/base/ID/OID.N.tar.zst        the same for each further tablespace
    CLUSTER/ERA/base/ID/backup_manifest.zst  PostgreSQL's own list of the files and their checksums
    CLUSTER/ERA/wal/*/*/SEGMENT-TAG.zst      WAL. Two files with different TAGs for one SEGMENT are a conflict: two servers
                                             wrote it, and somebody must decide which one is right.
    CLUSTER/ERA/timelines/TIMELINE-TAG.history
    CLUSTER/dumps/ID.json                    a dump of one database exists because this file does, as above
    CLUSTER/dumps/ID/dump.FORM.N.zst         what pg_dump wrote, in parts; FORM is custom, tar, sql, or directory.tar
    CLUSTER/dumps/ID/globals.sql.N.zst       roles, tablespaces and settings of its server, by pg_dumpall
    CLUSTER/reports/                         what every backup, drill and restore came to

Names with .enc after .zst are compressed, then encrypted, with a key set of the key file; after a rotation it has several.
Their first bytes tell the cipher:

    ( (hex 28)               aes-256-gcm: Tink streaming AEAD, AES256_GCM_HKDF_1MB, no prefix. The key is keySets[].dataKey,
                             the associated data is the path below this folder without .zst.enc.
    age-encryption.org/v1    chacha20-poly1305: age -d -i FILE_WITH_IDENTITY OBJECT. The identity is keySets[].identity.
    Salted__                 aes-256-cbc, -192-, -128-: openssl enc -d -aes-256-cbc -pbkdf2 -pass file:FILE -in OBJECT.
                             The passphrase is keySets[].dataKey in base64url: - for +, _ for /, no = at the end.

TAG is the first 32 digits of: without a key, the SHA-256 of the decoded file; with one, HMAC-SHA-256 with
keySets[].identityKey of CLUSTER, ERA, SEGMENT, each followed by a zero byte, then the decoded file.
aes-*-cbc alone notices no change: what does are the parts' SHA-256 in backups/ID.json, and TAG.

KEY FILE

Whoever set this up has it, not this folder. There may be a wrapped copy here, keys/KEY_ID/WRAPPER.json, for a passphrase or for
somebody's own age key (then add: -i FILE_WITH_IDENTITY). Of the newest KEY_ID it becomes a key file with

    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["age"])' keys/KEY_ID/WRAPPER.json | age -d > main.key

HOW TO RESTORE A CLUSTER

1. Choose a cluster, its newest era (the highest number), and a backup that ended before the moment you want. Each
   file in backups/ says in "stopLsn" and "stoppedAt" when it ended.

2. Save decrypt.py, decode.sh and restore.sh, which stand below, under their names, in a folder outside the repository. Set
   the variables, and run:

    export REPOSITORY=/where/this/folder/is
    export CLUSTER=shop ERA=0001-pg15-7400000000000000001 BACKUP=20261120T140501Z-full-3fa94c1e
    export INTO=/new/empty/folder            # becomes the data directory
    export WAL=/another/empty/folder         # takes the decoded WAL; as long as the new server needs it
    export KEY_FILE=/path/to/main.key        # only for encrypted objects
    export WAL_KEY_FILE=/path/to/main.key    # the same, unless WAL has a key of its own
    export PYTHON=python3                    # one that can import tink, for objects of aes-256-gcm
    export PATH=/usr/lib/postgresql/15/bin:$PATH
    bash restore.sh

   Run it as the user that shall own the data directory, usually postgres. It stops at the first thing that is wrong.

3. Choose where recovery stops: append ONE of these lines to INTO/postgresql.auto.conf, or none for the end of the WAL.

    recovery_target_time = '2026-11-20 14:05:00+08'
    recovery_target_lsn = '0/5000028'
    recovery_target_name = 'before_migration'

   PostgreSQL stops with "recovery ended before configured recovery target was reached" when it finds no transaction
   after that time: then leave the line out. Without a line a damaged or missing WAL file also ends recovery, silently:
   look whether the rows that you expect are there.

4. Start it, without letting anybody in yet, and look at the data:

    pg_ctl start -w -t 3600 -D $INTO -l $INTO.log -o "-p 5432 -c listen_addresses='' -c unix_socket_directories=$INTO"
    psql -h $INTO -p 5432 -U postgres -d postgres -c 'select pg_is_in_recovery(), now()'

   Where the old server's superuser has another name than postgres, give that one.
   With a recovery target it pauses there, for you to look; select pg_wal_replay_resume() opens it for writing.
   Settings of the old server came along (postgresql.conf, pg_hba.conf), where they lay in its data directory.
   archive_command is set to /bin/false, so that this copy does not archive into the old server's place: change it in
   postgresql.auto.conf when this is your server from now on.

HOW TO RESTORE A DUMP

1. Choose a cluster and a dump. Each file in dumps/ says in "database" what it is of (null: the whole server, or its globals
   alone), in "startedAt" the moment that it shows, and in "server" the encoding and the locale that the database had.

2. Save decrypt.py, decode.sh and dump.sh, which stand below, under their names, in a folder outside the repository. Set the
   variables, and run:

    export REPOSITORY=/where/this/folder/is
    export CLUSTER=shop DUMP=20261120T020000Z-logical-3fa94c1e
    export INTO=/new/empty/folder            # takes the dump as pg_dump wrote it
    export KEY_FILE=/path/to/main.key        # only for encrypted objects
    export PYTHON=python3                    # one that can import tink, for objects of aes-256-gcm
    bash dump.sh

   It stops at the first thing that is wrong, and executes nothing of what is in the dump.

3. Make the database on a server of the same or a newer major version, and load what is there into it. PGHOST, PGPORT and PGUSER
   say where, as for every program of PostgreSQL. Roles come first, because tables have owners: psql reports those that exist
   already, and goes on. Read globals.sql before you load it into a server that holds other databases.

    createdb -T template0 restored
    if test -e $INTO/globals.sql; then psql -X -d postgres -f $INTO/globals.sql; fi
    if test -e $INTO/dump.sql; then psql -X -v ON_ERROR_STOP=1 -d restored -f $INTO/dump.sql; fi
    if test -e $INTO/dump.custom; then pg_restore -e -j 2 -d restored $INTO/dump.custom; fi
    if test -e $INTO/dump.tar; then pg_restore -e -d restored $INTO/dump.tar; fi
    if test -e $INTO/dump.directory; then pg_restore -e -j 2 -d restored $INTO/dump.directory; fi

   A dump of the whole server is SQL that makes its own databases: psql -X -d postgres -f $INTO/dump.sql, into a new server.

======== decrypt.py ========
${decryptProgram}======== end of decrypt.py ========

======== decode.sh ========
${decodeScript}======== end of decode.sh ========

======== restore.sh ========
${restoreScript}======== end of restore.sh ========

======== dump.sh ========
${dumpScript}======== end of dump.sh ========
`;
