# syntax=docker/dockerfile:1

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=unknown
# The parser is C, so the C library is linked in; names and users are looked up
# in Go, which needs none of its shared parts.
RUN CGO_ENABLED=1 go build -trimpath -tags netgo,osusergo \
        -ldflags "-s -w -X main.version=${VERSION} -extldflags=-static" \
        -o /tenantgate ./cmd/tenantgate
RUN echo 'tenantgate:x:65532:65532::/:' > /passwd && echo 'tenantgate:x:65532:' > /group

FROM scratch
LABEL org.opencontainers.image.title="tenantgate" \
      org.opencontainers.image.description="A PostgreSQL proxy that enforces tenancy" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /passwd /group /etc/
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/LICENSE /usr/share/doc/tenantgate/
COPY --from=build /tenantgate /usr/local/bin/
USER 65532:65532
EXPOSE 6432 6433
# For orchestrators without their own check on /readyz.
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["/usr/local/bin/tenantgate", "health", "--config", "/etc/tenantgate/tenantgate.yaml"]
ENTRYPOINT ["/usr/local/bin/tenantgate"]
CMD ["serve", "--config", "/etc/tenantgate/tenantgate.yaml"]
