package proxy

import (
	"context"
	"net/http"
	"time"
)

// readyTimeout bounds what a readiness probe waits for the database.
const readyTimeout = 3 * time.Second

// HTTP answers the probes of an orchestrator: /healthz while the process runs,
// /readyz while clients can be served. /metrics is for
// Prometheus, and / for people.
func (s *Server) HTTP() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeText(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := s.Ready(ctx); err != nil {
			s.log.Warn().Err(err).Msg("not ready")
			writeText(w, http.StatusServiceUnavailable, "not ready\n")
			return
		}
		writeText(w, http.StatusOK, "ready\n")
	})
	mux.Handle("GET /metrics", s.metrics())
	mux.HandleFunc("GET /{$}", s.status)
	return mux
}

func writeText(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
