package lab

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// service is a service or a job of the made-up pair: how it behaves once started.
type service struct {
	name    string
	port    int      // published; 0: none
	after   []string // start order
	needs   []string // cannot start, nor answer, without these
	startup time.Duration
	stop    time.Duration
	only    string // side; empty: both
	tags    []string
	class   string // of its log lines
	front   bool   // what the balancer checks
	job     bool
	plain   bool   // no JVM: ends with 0 after SIGTERM
	spool   string // where its image wants a volume without a name
}

const seconds = time.Second

// theServices are those of the incident, in their start order. Tags are commits, the
// latest first; what runs is the first one, also tagged latest.
func theServices() []service {
	list := []service{
		{name: "keycloak", port: 8080, startup: 24 * seconds, stop: 3 * seconds, tags: []string{"9b1d4e2", "3c7fa80", "e02b96d"}, class: "o.k.services"},
		{name: "reference", port: 8088, after: []string{"keycloak"}, startup: 14 * seconds, stop: 2 * seconds, tags: []string{"51c0d9e", "0fa7723", "d6e14ab"}, class: "t.reference.ReferenceApp"},
		{name: "profile", port: 8082, after: []string{"keycloak", "reference"}, startup: 16 * seconds, stop: 2 * seconds, tags: []string{"a41f0c9", "77de215", "c3b9f40"}, class: "t.profile.ProfileApp"},
		{name: "usermanagement", port: 8100, after: []string{"profile"}, startup: 11 * seconds, stop: 2 * seconds, tags: []string{"6f2e8b1", "b80c4d7"}, class: "t.usermanagement.UserMgmtApp"},
		{name: "tcs", port: 8093, after: []string{"profile", "reference"}, startup: 22 * seconds, stop: 4 * seconds, tags: []string{"e9a3c57", "18f60bd", "4d2b7ce"}, class: "t.tcs.TcsApp"},
		{name: "assessments", port: 8097, after: []string{"tcs"}, startup: 13 * seconds, stop: 2 * seconds, tags: []string{"20b5fa8", "97c3e14"}, class: "t.assessments.AssessmentApp"},
		{name: "notifications", port: 8094, after: []string{"profile"}, startup: 9 * seconds, stop: 1 * seconds, tags: []string{"f7d1096", "2ea84c3"}, class: "t.notifications.NotificationApp"},
		{name: "concerns", port: 8095, after: []string{"tcs"}, startup: 12 * seconds, stop: 2 * seconds, tags: []string{"83e7b2d", "5ac90f1", "be4417c"}, class: "t.concerns.ConcernsApp"},
		{name: "revalidation", port: 8096, after: []string{"tcs", "concerns"}, startup: 15 * seconds, stop: 2 * seconds, tags: []string{"c60f3a9", "71d8e52"}, class: "t.revalidation.RevalApp"},
		{name: "gmc-connect", port: 8098, after: []string{"revalidation"}, startup: 10 * seconds, stop: 1 * seconds, tags: []string{"0d9be76", "aa1250f"}, class: "t.gmc.GmcConnectApp"},
		{name: "generic-upload", port: 8099, after: []string{"tcs"}, startup: 17 * seconds, stop: 3 * seconds, only: "green", tags: []string{"77b01ff", "d3c8ea4", "1908b6e"}, class: "t.genericupload.UploadApp"},
		{name: "sync", port: 8101, after: []string{"tcs"}, startup: 18 * seconds, stop: 3 * seconds, tags: []string{"4be62d8", "f0917ac"}, spool: "/var/spool/sync", class: "t.sync.SyncApp"},
		{name: "admins-ui", port: 8083, after: []string{"profile", "usermanagement"}, startup: 4 * seconds, stop: 1 * seconds, tags: []string{"b27d5e3", "60fa9c1", "9e83d04"}, class: "nginx", plain: true},
		{name: "apache", port: 80, after: []string{"keycloak", "admins-ui"}, startup: 2 * seconds, stop: 1 * seconds, tags: []string{"38ce01a", "d94b7f2"}, class: "apache", front: true, plain: true},
		{name: "ndw-etl", startup: 25 * seconds, stop: 1 * seconds, only: "green", job: true, tags: []string{"5fd20b7", "c18e963"}, class: "t.etl.ndw.NdwEtl"},
		{name: "reval-etl", startup: 20 * seconds, stop: 1 * seconds, only: "green", job: true, tags: []string{"e4719ca", "086fb5d"}, class: "t.etl.reval.RevalEtl"},
		{name: "gmc-sync", startup: 15 * seconds, stop: 1 * seconds, only: "green", job: true, tags: []string{"9a0c6f3", "b5d28e1"}, class: "t.etl.gmc.GmcSync"},
		{name: "esr-etl", startup: 30 * seconds, stop: 1 * seconds, only: "green", job: true, tags: []string{"2cd7e40", "7fb8193"}, class: "t.etl.esr.EsrEtl"},
	}
	for i := range list {
		list[i].needs = list[i].after
		if list[i].name == "gmc-connect" || list[i].name == "revalidation" {
			list[i].needs = []string{"tcs"} // started after the others by custom, not by need
		}
	}
	return list
}

// chosen are the services of the given names, all where none is given. What they need and
// follow is cut to what is there.
func chosen(names []string) ([]service, error) {
	list := theServices()
	if len(names) == 0 {
		return list, nil
	}
	there := func(name string) bool { return slices.Contains(names, name) }
	for _, name := range names {
		if !slices.ContainsFunc(list, func(s service) bool { return s.name == name }) {
			return nil, fmt.Errorf("the lab has no service %q", name)
		}
	}
	list = slices.DeleteFunc(list, func(s service) bool { return !there(s.name) })
	for i := range list {
		absent := func(name string) bool { return !there(name) }
		list[i].after = slices.DeleteFunc(slices.Clone(list[i].after), absent)
		list[i].needs = slices.DeleteFunc(slices.Clone(list[i].needs), absent)
	}
	return list, nil
}

func (s service) repo() string { return "tis/" + s.name }

func (s service) health() string {
	if s.plain {
		return "/"
	}
	return "/" + s.name + "/actuator/health"
}

// line is a log line as Spring Boot's default pattern writes it.
func (s service) line(at time.Time, level string, pid int, thread, class, text string) string {
	return fmt.Sprintf("%s %5s %d --- [%15s] %-40s : %s", at.UTC().Format("2006-01-02 15:04:05.000"), level, pid, thread, class, text)
}

func (s service) begins(at time.Time, pid int) []string {
	switch s.class {
	case "apache":
		return []string{"AH00558: httpd: Could not reliably determine the server's fully qualified domain name, using 172.18.0.15"}
	case "nginx":
		return []string{"/docker-entrypoint.sh: Configuration complete; ready for start up"}
	}
	return []string{
		"  .   ____          _            __ _ _",
		" /\\\\ / ___'_ __ _ _(_)_ __  __ _ \\ \\ \\ \\",
		"( ( )\\___ | '_ | '_| | '_ \\/ _` | \\ \\ \\ \\",
		" \\\\/  ___)| |_)| | | | | || (_| |  ) ) ) )",
		"  '  |____| .__|_| |_|_| |_\\__, | / / / /",
		" =========|_|==============|___/=/_/_/_/",
		" :: Spring Boot ::        (v2.3.5.RELEASE)",
		s.line(at, "INFO", pid, "main", s.class, "Starting "+s.name+" with PID "+fmt.Sprint(pid)),
		s.line(at, "INFO", pid, "main", s.class, "The following profiles are active: prod"),
	}
}

func (s service) started(from, at time.Time) []string {
	switch s.class {
	case "apache":
		return []string{"[mpm_event:notice] [pid 1:tid 1] AH00489: Apache/2.4.46 (Unix) configured -- resuming normal operations"}
	case "nginx":
		return []string{"[notice] 1#1: start worker processes"}
	}
	took := at.Sub(from).Seconds()
	return []string{
		s.line(at, "INFO", 1, "main", "o.s.b.w.embedded.tomcat.TomcatWebServer", fmt.Sprintf("Tomcat started on port(s): %d (http) with context path '/%s'", s.port, s.name)),
		s.line(at, "INFO", 1, "main", s.class, fmt.Sprintf("Started %s in %.3f seconds (JVM running for %.3f)", s.name, took, took+1.2)),
	}
}

func (s service) gaveUp(at time.Time, need string) []string {
	return []string{
		s.line(at, "ERROR", 1, "main", "o.s.boot.SpringApplication", "Application run failed"),
		"org.springframework.web.client.ResourceAccessException: I/O error on GET request for \"http://" + need + "\": Connection refused (Connection refused)",
		"\tat org.springframework.web.client.RestTemplate.doExecute(RestTemplate.java:748)",
	}
}

func (s service) stopping(at time.Time) []string {
	if s.plain {
		return []string{"SIGTERM received: shutting down"}
	}
	return []string{s.line(at, "INFO", 1, "extShutdownHook", "o.s.s.concurrent.ThreadPoolTaskExecutor", "Shutting down ExecutorService 'applicationTaskExecutor'")}
}

func (s service) jobBegins(at time.Time) []string {
	return []string{s.line(at, "INFO", 1, "main", s.class, "Job: [SimpleJob: [name="+s.name+"]] launched with the following parameters: [{}]")}
}

func (s service) jobEnds(at time.Time, status int) []string {
	word := "COMPLETED"
	if status != 0 {
		word = "FAILED"
	}
	return []string{s.line(at, "INFO", 1, "main", s.class, "Job: [SimpleJob: [name="+s.name+"]] completed with the following status: ["+word+"]")}
}

// works are the lines of a service at work; n picks one and fills it.
func (s service) works(at time.Time, n uint64) string {
	who := []string{"cmarsh", "apatel", "jowens", "rsingh", "tbaker"}[n%5]
	id, took := 10000+mix(n)%80000, 8+mix(n+1)%180
	switch s.class {
	case "apache":
		return fmt.Sprintf("10.0.1.%d - %s [%s] \"GET /%s/api/items/%d HTTP/1.1\" 200 %d", 20+n%4, who, at.UTC().Format("02/Jan/2006:15:04:05 +0000"), []string{"tcs", "profile", "reference", "assessments"}[n%4], id, 300+id%4000)
	case "nginx":
		return fmt.Sprintf("172.18.0.15 - - [%s] \"GET /static/js/main.%x.chunk.js HTTP/1.1\" 304 0", at.UTC().Format("02/Jan/2006:15:04:05 +0000"), id)
	}
	thread := fmt.Sprintf("nio-%d-exec-%d", s.port, 1+n%9)
	switch n % 4 {
	case 0:
		return s.line(at, "INFO", 1, thread, s.class, fmt.Sprintf("GET /api/%s/%d by %s took %d ms", strings.ReplaceAll(s.name, "-", ""), id, who, took))
	case 1:
		return s.line(at, "DEBUG", 1, thread, "o.h.e.t.internal.TransactionImpl", fmt.Sprintf("committing (%d ms)", took))
	case 2:
		return s.line(at, "INFO", 1, thread, s.class, fmt.Sprintf("Updated %d on behalf of %s", id, who))
	}
	return s.line(at, "WARN", 1, thread, "o.h.engine.jdbc.spi.SqlExceptionHelper", fmt.Sprintf("slow query: %d ms", took*9))
}
