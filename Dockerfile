# pgproof beside PostgreSQL's own programs: drills start real servers, so the client package alone would not do.
# Debian-based on purpose: Temporal's SDK has no musl build.
FROM node:24-trixie-slim AS node
FROM temporalio/temporal:1.5.1 AS temporal
FROM postgres:18
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
COPY --from=temporal /usr/local/bin/temporal /usr/local/bin/temporal
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /opt/pgproof
COPY . .
RUN npm ci --no-audit --no-fund && ln -s /opt/pgproof/pgproof /usr/local/bin/pgproof
# The owner of PostgreSQL's data directory, in the postgres image as well as here.
USER 999:999
ENV XDG_STATE_HOME=/var/lib
ENTRYPOINT ["/opt/pgproof/pgproof"]
