// Package main is the made-up service that the rig's containers run: one static
// binary, baked into every image. Only the rig's images use it.
//
// The image says which version it is (VERSION), compose says which service it plays
// (SERVICE), on which side (SIDE), and how long it takes to get ready (WARMUP, a Go
// duration). It listens on :8080.
//
//	service          serve: / answers with name, side and version; /health is 503
//	                 until the warm-up is over, and again once SIGTERM has come;
//	                 /slow?for=2s holds a request open, to watch a drain end
//	service health   ask the own /health; exit 0 when it says 200 (the docker check)
//	service job      print a few lines and exit with JOB_EXIT (default 0): an ETL
//
// With FRONT set (a comma list of service names) it is the reverse proxy in front:
// /NAME/... and /api/NAME/... go to http://NAME:8080/..., the rest it answers itself.
//
// SIGTERM is a graceful stop: requests under way are finished first.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC | log.Lmicroseconds)
	mode := "serve"
	if len(os.Args) > 1 {
		mode = os.Args[1]
	}
	switch mode {
	case "health":
		os.Exit(health())
	case "job":
		os.Exit(job())
	}
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

// health asks the service in the same container.
func health() int {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get("http://127.0.0.1:8080/health")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer answer.Body.Close()
	fmt.Println(answer.Status)
	if answer.StatusCode != http.StatusOK {
		return 1
	}
	return 0
}

// job plays a one-shot ETL.
func job() int {
	name := os.Getenv("SERVICE")
	for part := 1; part <= 3; part++ {
		log.Printf("%s: loaded part %d of 3", name, part)
		time.Sleep(200 * time.Millisecond)
	}
	status, _ := strconv.Atoi(os.Getenv("JOB_EXIT"))
	log.Printf("%s: done, exit %d", name, status)
	return status
}

// about is what / and /health answer.
type about struct {
	Service string `json:"service"`
	Side    string `json:"side"`
	Version string `json:"version"`
	Status  string `json:"status"`
}

func serve() error {
	self := about{Service: os.Getenv("SERVICE"), Side: os.Getenv("SIDE"), Version: os.Getenv("VERSION"), Status: "UP"}
	warmup, err := time.ParseDuration(os.Getenv("WARMUP"))
	if err != nil {
		warmup = 0
	}
	var ready atomic.Bool
	time.AfterFunc(warmup, func() {
		ready.Store(true)
		log.Printf("%s %s on %s is ready", self.Service, self.Version, self.Side)
	})

	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(self)
	}
	mux.HandleFunc("/", answer)
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		if !ready.Load() {
			http.Error(w, "starting or stopping", http.StatusServiceUnavailable)
			return
		}
		answer(w, r)
	})
	mux.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		pause, _ := time.ParseDuration(r.FormValue("for"))
		select {
		case <-time.After(min(pause, time.Minute)):
		case <-r.Context().Done():
			return
		}
		answer(w, r)
	})
	for name := range strings.SplitSeq(os.Getenv("FRONT"), ",") {
		if name == "" {
			continue
		}
		to := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: name + ":8080"})
			p.SetXForwarded()
		}}
		mux.Handle("/"+name+"/", http.StripPrefix("/"+name, to))
		mux.Handle("/api/"+name+"/", http.StripPrefix("/api/"+name, to))
	}

	var served atomic.Int64
	server := &http.Server{
		Addr:              ":8080",
		ReadHeaderTimeout: 5 * time.Second,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			w.Header().Set("X-Tandem-Side", self.Side)
			mux.ServeHTTP(w, r)
		}),
	}
	go func() {
		for range time.Tick(30 * time.Second) {
			log.Printf("%s: %d requests so far", self.Service, served.Load())
		}
	}()

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		log.Printf("%s: stopping, finishing what is under way", self.Service)
		ready.Store(false)
		deadline, cancel := context.WithTimeout(context.Background(), 8*time.Second)
		defer cancel()
		stopped <- server.Shutdown(deadline)
	}()
	log.Printf("%s %s on %s starts, warm-up %s", self.Service, self.Version, self.Side, warmup)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving: %w", err)
	}
	if err := <-stopped; err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	log.Printf("%s: stopped", self.Service)
	return nil
}
