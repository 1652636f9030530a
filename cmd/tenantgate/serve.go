package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"

	"tenantgate/auth"
	"tenantgate/pool"
	"tenantgate/proxy"
)

const (
	serveExample = `
tenantgate serve --config tenantgate.yaml
tenantgate serve --config tenantgate.yaml --listen 0.0.0.0:6432 --log-level debug
`
	// drainTimeout is how long transactions may go on after SIGTERM.
	drainTimeout = 30 * time.Second

	// socketFile is how clients find a unix socket in its directory.
	socketFile = ".s.PGSQL.6432"
)

// runServe runs the proxy until it is told to end.
func runServe(ctx context.Context, env *environment, args []string) int {
	flags := env.flags()
	file := addConfigFlags(flags)
	if _, status, done := env.parse(flags, args, 0, 0); done {
		return status
	}
	cfg, err := file.load(env.lookupEnv)
	if err != nil {
		return env.fail(err)
	}
	out := env.stderr
	if f, ok := out.(*os.File); ok && isatty.IsTerminal(f.Fd()) {
		out = zerolog.ConsoleWriter{Out: f, TimeFormat: time.DateTime}
	}
	log := zerolog.New(out).Level(cfg.LogLevel).With().Timestamp().Logger()
	if _, chosen := env.lookupEnv("GOMAXPROCS"); !chosen {
		useProcessors()
	}
	if err := serve(ctx, cfg, log); err != nil {
		return env.fail(err)
	}
	return exitOK
}

// useProcessors has Go code run on one processor where there are two or less:
// waking the other one up for what the first has at hand costs more than it
// brings, and whoever shares the machine has use for it (docs/performance.md).
func useProcessors() {
	if runtime.GOMAXPROCS(0) <= 2 {
		runtime.GOMAXPROCS(1)
	}
}

// serve runs the proxy until ctx ends, then drains it: transactions may end
// within drainTimeout, and clients are told.
func serve(ctx context.Context, cfg *Config, log zerolog.Logger) error {
	examiner := &examiner{cfg: cfg, log: log}
	// The client that comes first may give up waiting; the examination goes on.
	server, err := newServer(cfg, log, func(_ context.Context, d proxy.Database) error { return examiner.examine(ctx, d) })
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Open(ctx); err != nil {
		return err
	}
	examiner.warnUnmatched()
	listeners, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	failed := make(chan error, len(listeners)+1)
	var serving sync.WaitGroup
	for _, l := range listeners {
		serving.Go(func() {
			if err := server.Serve(l); !errors.Is(err, proxy.ErrServerClosed) {
				failed <- err
			}
		})
		log.Info().Str("listen", l.Addr().String()).Stringer("enforce", cfg.Tenancy.Enforce).Msg("clients are served")
	}
	admin := &http.Server{Handler: adminHandler(server, cfg.Admin), ReadHeaderTimeout: 5 * time.Second}
	if cfg.Admin.Listen != "" {
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Admin.Listen)
		if err != nil {
			failed <- fmt.Errorf("listen for HTTP: %w", err)
		} else {
			serving.Go(func() {
				if err := admin.Serve(l); !errors.Is(err, http.ErrServerClosed) {
					failed <- fmt.Errorf("serve HTTP: %w", err)
				}
			})
			log.Info().Str("listen", l.Addr().String()).Msg("HTTP is served")
		}
	}
	select {
	case err = <-failed:
	case <-ctx.Done():
		log.Info().Msg("draining: transactions may end")
	}
	drained, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if cut := server.Shutdown(drained); cut != nil {
		log.Warn().Dur("after", drainTimeout).Msg("transactions that did not end were cut off")
	}
	_ = admin.Close()
	serving.Wait()
	return err
}

// adminHandler answers over HTTP.
func adminHandler(server *proxy.Server, cfg Admin) http.Handler {
	if !cfg.Profile {
		return server.HTTP()
	}
	mux := http.NewServeMux()
	mux.Handle("/", server.HTTP())
	mux.HandleFunc("GET /debug/pprof/", pprof.Index) // and by name: heap, allocs, goroutine, ...
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// newServer makes the proxy that a configuration describes.
func newServer(cfg *Config, log zerolog.Logger, examine func(context.Context, proxy.Database) error) (*proxy.Server, error) {
	authenticator, err := auth.New(cfg.Auth())
	if err != nil {
		return nil, err
	}
	tlsConfig, err := cfg.TLS.server()
	if err != nil {
		return nil, err
	}
	backends := cfg.Pools()
	for name, b := range backends {
		if b.Secret, err = cfg.Backends[name].secret(cfg.Tenancy.SealKey); err != nil {
			return nil, fmt.Errorf("make a secret of the password of backend %q: %w", name, err)
		}
		if b.Secret == nil {
			log.Warn().Str("backend", name).Msg("tenants' advisory locks and channels are this process's alone: with several proxies, set tenancy.seal_key")
		}
		backends[name] = b
	}
	build, _ := debug.ReadBuildInfo()
	return proxy.New(proxy.Config{
		Enforce:    cfg.Tenancy.Enforce,
		Setting:    cfg.Tenancy.Setting,
		Catalog:    cfg.Catalog(),
		Auth:       authenticator,
		Backends:   backends,
		TLS:        tlsConfig,
		Explain:    cfg.Tenancy.Explain,
		Observe:    cfg.Tenancy.Observe,
		TempTables: cfg.Tenancy.TempTables,
		MaxClients: cfg.Clients,
		Operators:  operatorsPool(backends),
		RequireTLS: cfg.TLS.Mode == TLSRequire || cfg.TLS.Mode == TLSVerifyFull,
		Log:        log,
		Version:    versionOf(version, build).Version,
		Shown:      cfg.shown(),
		Examine:    examine,
	})
}

// operatorsPool is the pattern for the pools of operators with a URL of their
// own: that of the backend of those who name none.
func operatorsPool(backends map[string]proxy.BackendConfig) pool.Config {
	if len(backends) == 1 {
		for _, b := range backends {
			return b.Pool
		}
	}
	return backends[mainBackend].Pool
}

// server returns the TLS configuration towards clients; nil is none.
func (t TLS) server() (*tls.Config, error) {
	if t.Mode == TLSDisable || t.Cert == "" && t.Mode == TLSPrefer {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("read tls.cert and tls.key: %w", err)
	}
	config := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if t.ClientCA == "" {
		return config, nil
	}
	pem, err := os.ReadFile(t.ClientCA)
	if err != nil {
		return nil, fmt.Errorf("read tls.client_ca: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("tls.client_ca %s holds no certificate", t.ClientCA)
	}
	config.ClientAuth = tls.VerifyClientCertIfGiven
	if t.Mode == TLSVerifyFull {
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config, nil
}

// listen opens all addresses or none.
func listen(ctx context.Context, addresses []Address) (listeners []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range listeners {
				_ = l.Close()
			}
		}
	}()
	for _, a := range addresses {
		address := a.Address
		if a.Network == "unix" {
			address = filepath.Join(address, socketFile)
			if err := removeStaleSocket(ctx, address); err != nil {
				return listeners, err
			}
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, a.Network, address)
		if err != nil {
			return listeners, fmt.Errorf("listen for clients: %w", err)
		}
		listeners = append(listeners, l)
	}
	return listeners, nil
}

// removeStaleSocket removes the socket that a process which is gone left.
func removeStaleSocket(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil
	}
	conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err == nil {
		_ = conn.Close()
		return fmt.Errorf("listen for clients: another process serves %s", path)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}
