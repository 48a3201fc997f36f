# syntax=docker/dockerfile:1
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
RUN cargo build --release --locked --package tidemill-cli

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /data --create-home tidemill
COPY --from=build /source/target/release/tidemill /usr/local/bin/tidemill
USER tidemill
WORKDIR /data
VOLUME /data
ENV TIDEMILL_BROKER=sqlite:/data/tidemill.db
STOPSIGNAL SIGTERM
ENTRYPOINT ["tidemill"]
CMD ["--help"]
