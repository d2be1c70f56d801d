# Two images of one build: `worker` stands beside a PostgreSQL, `control` runs the workflows. See docs/containers.md.
# Debian-based on purpose: Temporal's SDK has no musl build.
FROM node:24-trixie-slim AS build
WORKDIR /opt/pgproof
COPY . .
RUN npm ci --omit=dev --no-audit --no-fund

# No PostgreSQL, no state, no key: it needs the configuration and Temporal, nothing else.
FROM node:24-trixie-slim AS control
COPY --from=build /opt/pgproof /opt/pgproof
RUN ln -s /opt/pgproof/pgproof /usr/local/bin/pgproof
ENV PGPROOF_INSTALL=no
USER node
ENTRYPOINT ["/opt/pgproof/pgproof"]
CMD ["worker", "--control"]

# Drills start real servers: this one has PostgreSQL's own programs, of the major that it stands beside.
FROM postgres:18 AS worker
COPY --from=build /usr/local/bin/node /usr/local/bin/node
COPY --from=build /opt/pgproof /opt/pgproof
RUN ln -s /opt/pgproof/pgproof /usr/local/bin/pgproof
ENV PGPROOF_INSTALL=no XDG_STATE_HOME=/var/lib
# The owner of PostgreSQL's data directory, in the postgres image as well as here.
USER 999:999
ENTRYPOINT ["/opt/pgproof/pgproof"]
CMD ["worker"]
