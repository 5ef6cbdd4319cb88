"""Lines as systems of many kinds write them: each statement of the program is one template, and no two share one.

The statements are made up after the public documentation of the formats; what varies in them is drawn.
"""

from __future__ import annotations

import random
import re

import pytest

from aiops.detect.templates import Templates
from aiops.ingest.shapes import shape_of

TIMES = 24  # lines of each statement
NAMES = (
    "ann bob carol dave erin frank grace heidi ivan judy mallory niaj olivia peggy rupert sybil trent victor".split()
)
HOSTS = "north south east west alpha beta gamma delta omega zeta kappa lambda".split()


class Draw:
    """Values by name of field, from one seed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def __call__(self, field: str) -> str:
        value: str = getattr(self, field)()
        return value

    def n(self) -> str:
        return str(int(10 ** self.rng.uniform(0, 7)))

    def pid(self) -> str:
        return str(self.rng.randrange(2, 99_999))

    def f(self) -> str:
        return f"{self.rng.uniform(0, 2000):.3f}"

    def dur(self) -> str:
        return self.rng.choice(("{}ms", "{}µs", "{}s", "1m{}s", "{}.25s", "2h{}m3s")).format(self.rng.randrange(1, 59))

    def size(self) -> str:
        return self.rng.choice(("{} MB", "{}KiB", "{}.5 GB", "{} B")).format(self.rng.randrange(1, 999))

    def hex(self) -> str:
        return f"0x{self.rng.getrandbits(48):x}"

    def id(self) -> str:
        return f"{self.rng.getrandbits(64):016x}"

    def uuid(self) -> str:
        h = f"{self.rng.getrandbits(128):032x}"
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"

    def ip(self) -> str:
        return ".".join(str(self.rng.randrange(256)) for _ in range(4))

    def ip6(self) -> str:
        h = f"{self.rng.getrandbits(64):016x}"
        a, b, c, d = h[:4], h[4:8], h[8:12], h[12:]
        forms = (
            f"fe80::{a}:{b}",
            "::1",
            f"2001:db8::{c}",
            f"2001:db8:{a}:{b}:{c}:{d}:0:1",
            f"fd00::{d}%eth0",
            "::ffff:10.1.2.3",
        )
        return self.rng.choice(forms)

    def mac(self) -> str:
        return ":".join(f"{self.rng.randrange(256):02x}" for _ in range(6))

    def port(self) -> str:
        return str(self.rng.randrange(1024, 65_536))

    def path(self) -> str:
        return "/" + "/".join(self.rng.choices(("var", "log", "data", "app", "srv", "x1"), k=self.rng.randrange(2, 5)))

    def name(self) -> str:
        return self.rng.choice(NAMES)

    def host(self) -> str:
        return self.rng.choice(HOSTS)

    def domain(self) -> str:
        return f"{self.rng.choice(NAMES)}.{self.rng.choice(HOSTS)}.example.{self.rng.choice(('com', 'org', 'net'))}"

    def version(self) -> str:
        a, b, c = (self.rng.randrange(20) for _ in range(3))
        return self.rng.choice((f"v{a}.{b}.{c}", f"{a}.{b}.{c}-rc.1", f"{a}.{b}.{c}+build.{c}", f"{a}.{b}"))

    def pod(self) -> str:
        letters = "bcdfghjklmnpqrstvwxz2456789"
        tail = "".join(self.rng.choices(letters, k=5))
        return f"{self.rng.choice(HOSTS)}-{self.rng.getrandbits(36):09x}-{tail}"

    def iso(self) -> str:
        r = self.rng.randrange
        day = f"2024-{r(1, 13):02d}-{r(1, 29):02d}"
        clock = f"{r(24):02d}:{r(60):02d}:{r(60):02d}"
        forms = ("{}T{}.123Z", "{}T{}.123456+02:00", "{}T{}Z", "{}T{}-0700")
        return self.rng.choice(forms).format(day, clock)

    def sql_time(self) -> str:
        r = self.rng.randrange
        return f"2024-{r(1, 13):02d}-{r(1, 29):02d} {r(24):02d}:{r(60):02d}:{r(60):02d}"

    def clf_time(self) -> str:
        r = self.rng.randrange
        return f"{r(1, 29):02d}/{self.month()}/2024:{r(24):02d}:{r(60):02d}:{r(60):02d} +0000"

    def syslog_time(self) -> str:
        r = self.rng.randrange
        return f"{self.month()} {r(1, 29):2d} {r(24):02d}:{r(60):02d}:{r(60):02d}"

    def asc_time(self) -> str:
        r = self.rng.randrange
        day = self.rng.choice("Mon Tue Wed Thu Fri Sat Sun".split())
        return f"{day} {self.month()} {r(1, 29):2d} {r(24):02d}:{r(60):02d}:{r(60):02d} 2024"

    def month(self) -> str:
        return self.rng.choice("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())

    def agent(self) -> str:
        forms = (
            "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0", "curl/7.88.1", "kube-probe/1.27",
            "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
            "Go-http-client/1.1", "python-requests/2.31.0",
        )  # fmt: skip
        return self.rng.choice(forms)

    def winpath(self) -> str:
        parts = self.rng.choices(("Windows", "Temp", "winsxs", "Users", "bin"), k=3)
        return "C:\\" + "\\".join(parts) + f"\\f{self.rng.randrange(99)}.dll"


FAMILIES = {
    "OpenSSH": r"""
        Failed password for invalid user {name} from {ip} port {port} ssh2
        Failed password for root from {ip} port {port} ssh2
        Accepted publickey for root from {ip6} port {port} ssh2: RSA SHA256:{id}
        Invalid user {name} from {ip}
        Received disconnect from {ip}: 11: Bye Bye [preauth]
        Connection closed by {ip} [preauth]
        pam_unix(sshd:session): session opened for user {name} by (uid=0)
        pam_unix(sshd:session): session closed for user {name}
        reverse mapping checking getaddrinfo for {domain} [{ip}] failed - POSSIBLE BREAK-IN ATTEMPT!
        Did not receive identification string from {ip}
    """,
    "systemd and kernel": r"""
        systemd[1]: Started Session {n} of user {name}.
        systemd[1]: Starting Daily apt download activities...
        systemd[1]: nginx.service: Main process exited, code=exited, status={n}/FAILURE
        systemd[1]: Created slice User Slice of UID {pid}.
        kernel: [{f}] eth0: link up, {n} Mbps, full duplex
        kernel: [{f}] Out of memory: Killed process {pid} (java) total-vm:{n}kB, anon-rss:{n}kB, file-rss:0kB
        kernel: [{f}] wlan0: authenticate with {mac}
        {syslog_time} {host}1 CRON[{pid}]: (root) CMD (run-parts /etc/cron.hourly)
    """,
    "nginx": r"""
        {ip} - - [{clf_time}] "GET {path}?a={n} HTTP/1.1" 200 {n} "-" "{agent}"
        {ip6} - - [{clf_time}] "POST {path} HTTP/1.1" 200 {n} "https://{domain}{path}" "{agent}"
        {sql_time} [error] {pid}#{pid}: *{n} connect() failed (111: Connection refused) while connecting to upstream, ~
            client: {ip}, server: {domain}, request: "GET {path} HTTP/1.1", upstream: "http://{ip}:{port}{path}"
        {sql_time} [warn] {pid}#{pid}: *{n} an upstream response is buffered to a temporary file {path}
        {sql_time} [notice] {pid}#{pid}: signal {n} (SIGCHLD) received from {pid}
    """,
    "PostgreSQL": r"""
        {sql_time}.123 UTC [{pid}] LOG:  checkpoint starting: time
        {sql_time}.123 UTC [{pid}] LOG:  checkpoint complete: wrote {n} buffers (0.1%); 0 WAL file(s) added, 0 removed; ~
            write={f} s, sync={f} s, total={f} s
        {sql_time}.123 UTC [{pid}] LOG:  duration: {f} ms  execute fetch
        {sql_time}.123 UTC [{pid}] ERROR:  duplicate key value violates unique constraint "users_pkey"
        {sql_time}.123 UTC [{pid}] DETAIL:  Key (id)=({n}) already exists.
        {sql_time}.123 UTC [{pid}] FATAL:  remaining connection slots are reserved for superusers
        {sql_time}.123 UTC [{pid}] LOG:  automatic vacuum of table "app.public.orders": index scans: {n}
        {sql_time}.123 UTC [{pid}] LOG:  process {pid} still waiting for ShareLock on transaction {n} after {f} ms
    """,
    "Kubernetes": r"""
        I0102 03:04:05.678901   {pid} pod_startup.go:102] "Observed pod startup duration" pod="default/{pod}" ~
            duration="{dur}"
        E0102 03:04:05.678901   {pid} pod_workers.go:1298] "Error syncing pod, skipping" err="failed to ~
            \"StartContainer\" for \"web\" with CrashLoopBackOff: \"back-off {dur} restarting failed container={name} ~
            pod={pod}\"" pod="default/{pod}"
        W0102 03:04:05.678901   {pid} reflector.go:456] watch of *v1.Pod closed with: too old resource version: {n} ~
            ({n})
        Successfully assigned default/{pod} to node-{n}
        Pulling image "registry.example.com/{name}:{version}"
        Readiness probe failed: Get http://{ip}:{port}/healthz: dial tcp {ip}:{port}: connect: connection refused
        Scaled up replica set {pod} to {n}
    """,
    "Go and zap": r"""
        {iso}<TAB>INFO<TAB>server/main.go:42<TAB>request done<TAB>{{"status": 200, "path": "{path}", "took": "{dur}", ~
            "user": "{name}"}}
        {iso}<TAB>ERROR<TAB>store/store.go:17<TAB>query failed<TAB>{{"error": "timeout after {dur}", "attempt": {n}}}
        2024/01/02 03:04:05 http: TLS handshake error from [{ip6}]:{port}: EOF
        2024/01/02 03:04:05 listening on [::]:{port}
        2024/01/02 03:04:05 dial tcp [{ip6}]:{port}: connect: connection refused
    """,
    "Rust tracing": r"""
        {iso}  INFO app::server: listening addr={ip}:{port}
        {iso}  INFO request{{method=GET uri={path} id={uuid}}}: tower_http::trace: finished processing latency={n} ms ~
            status=200
        <ESC>[2m{iso}<ESC>[0m <ESC>[33m WARN<ESC>[0m <ESC>[2mapp::pool<ESC>[0m<ESC>[2m:<ESC>[0m slow acquire ~
            <ESC>[3mtook<ESC>[0m<ESC>[2m=<ESC>[0m{dur}
        <ESC>[2m{iso}<ESC>[0m <ESC>[31mERROR<ESC>[0m <ESC>[2mapp::pool<ESC>[0m<ESC>[2m:<ESC>[0m no connection left: ~
            [{n}] in use
    """,
    "Python logging": r"""
        {sql_time},123 - module.sub - INFO - loaded {n} rows from {path} in {dur}
        {sql_time},123 - module.sub - WARNING - retry {n} of 5 for {uuid}
        INFO:     {ip}:{port} - "GET {path} HTTP/1.1" 200 OK
        [{sql_time} +0000] [{pid}] [INFO] Booting worker with pid: {pid}
        [{sql_time} +0000] [{pid}] [CRITICAL] WORKER TIMEOUT (pid:{pid})
        Task tasks.mail[{uuid}] succeeded in {f}s: None
        Task tasks.mail[{uuid}] raised unexpected: TimeoutError()
    """,
    "ZooKeeper and Kafka": r"""
        Accepted socket connection from /{ip}:{port}
        Established session {hex} with negotiated timeout {n} for client /{ip}:{port}
        Expiring session {hex}, timeout of {n}ms exceeded
        Notification: {n} (n.leader), {hex} (n.zxid), {hex} (n.round), LOOKING (n.state), {n} (n.sid), {hex} ~
            (n.peerEPoch)
        Connection broken for id {n}, my id = {n}, error =
        [GroupCoordinator {n}]: Member consumer-{n}-{uuid} in group orders has failed, removing it from the group
        [Log partition=orders-{n}, dir={path}] Rolled new log segment at offset {n} in {n} ms.
    """,
    "Windows": r"""
        Loaded Servicing Stack {version} with Core: {winpath}
        SQM: Failed to start upload with file pattern: {winpath}, flags: 0x2 [HRESULT = {hex} - E_FAIL]
        Session: {n}_{n} initialized by client WindowsUpdateAgent.
        Warning: Unrecognized packageExtended attribute.
        Read out cached package applicability for package: Package_for_KB{n}~31bf~amd64~~{version}, ApplicableState: {n}
        CBS TrustedInstaller service {{7E1BEE{n}}} stopped
    """,
    "supercomputers": r"""
        session opened for user root by (uid={n})
        data_thread() got not answer from any [Alpha_A{n}] datasource
        e1000: eth{n}: e1000_watchdog_task: NIC Link is Up {n} Mbps, Full Duplex
        Fan speeds ( {n} {n} {n} {n} {n} {n} )
        node-{n} has detected an available network connection on network {ip} via interface alt{n}
        Link error on broadcast tree Interconnect-{n}T{n}:{n}:{n}
        Temperature ({n}C) exceeds warning threshold
    """,
    "phones and desks": r"""
        onStandStepChanged {n}
        getTodayTotalDetailSteps = {n}##{n}##{n}##{n}
        calculateCaloriesWithCache totalCalories={n}
        chrome.exe - {domain}:{port} open through proxy {domain}:{port} HTTPS
        chrome.exe - {domain}:{port} close, {n} bytes sent, {n} bytes received, lifetime 00:{n}
        en0: BSSID changed to {mac}
        ARPT: {f}: AirPort_Brcm43xx::syncPowerState: WWEN[enabled]
        Bluetooth device {mac} is {host}s headset
    """,
    "logfmt and key=value": r"""
        level=info ts={iso} caller=compact.go:{n} component=tsdb msg_id={n} block={id} duration={dur} state=done
        type=SYSCALL audit({n}.123:{n}): arch=c000003e syscall={n} success=yes exit={n} pid={pid} comm="{name}" ~
            key=(null)
        acct=root op=login addr={ip6} res=success pid={pid}
    """,
}


def statements(family: str) -> list[str]:
    """A line each; one that ends in ``~`` goes on in the next."""
    text = re.sub(r" ~\n\s+", " ", FAMILIES[family]).replace("<ESC>", "\x1b").replace("<TAB>", "\t")
    return [line.strip() for line in text.strip().split("\n")]


def lines_of(family: str, seed: int) -> list[tuple[int, str]]:
    draw = Draw(seed)
    out = [
        (number, re.sub(r"\{(\w+)\}", lambda field: draw(field[1]), text).replace("{{", "{").replace("}}", "}"))
        for number, text in enumerate(statements(family))
        for _ in range(TIMES)
    ]
    draw.rng.shuffle(out)
    return out


@pytest.mark.parametrize("family", FAMILIES)
def test_each_statement_of_a_program_is_one_template(family, seed):
    templates, lines = Templates(), lines_of(family, seed)
    clusters = [templates.match("s", shape_of(line.encode())) for _, line in lines]
    found: dict[int, set[str]] = {}
    for (number, _), cluster in zip(lines, clusters, strict=True):
        found.setdefault(number, set()).add(templates.text(cluster))
    assert {statements(family)[number]: texts for number, texts in found.items() if len(texts) > 1} == {}
    assert len({templates.id(cluster) for cluster in clusters}) == len(statements(family))


@pytest.mark.parametrize(
    "values",
    [
        ["fe80::dead:beef", "::1", "2001:db8::8a2e:370:7334", "::ffff:10.0.0.1", "fe80::1%eth0", "2001:db8::/32"],
        ["aa:bb:cc:dd:ee:ff", "00:11:22:33:44:55", "de:ad:be:ef:00:01"],
        ["12ms", "3.5s", "250µs", "1h2m3s", "PT0.5S", "1,234.5"],
        ["2024-01-02T03:04:05Z", "2024-01-02T03:04:05.678901+02:00", "1704164645.123", "1704164645"],
        ["v1.2.3", "1.2.3-beta+exp.5114f85", "go1.21.3", "17.0.9+9-Debian-1"],
        ["deadbeef01", "0xDEADBEEF", "123e4567-e89b-12d3-a456-426614174000", "abcdefabcdefabcdefabcdef"],
        ["/var/log/x", "C:\\Users\\x\\y", "https://a.b/c?d=e#f", "s3://bucket/key", "a.b.c.example.com"],
    ],
)
def test_values_of_one_kind_have_one_shape(values):
    shapes = {" ".join(w.strip(":") for w in shape_of(f"got {v} now".encode()).decode().split()) for v in values}
    assert shapes == {"got \x01 now"} or shapes == {"got \x01 now", "got C:\x01 now"}


@pytest.mark.parametrize(
    ("line", "shape"),
    [
        (b"std::add::Face failed", b"std::add::Face failed"),  # names of C++ are no addresses
        (b"dead::beef", b"dead::beef"),
        (b"Foo::bar: 12", b"Foo::bar: \x01"),
        (b"at fe80::dead:beef: no route", b"at \x01: no route"),
        (b"from [::1]:8443", b"from [\x01]:\x01"),
        (b'err="no \\"such\\" file" next=x', b'err="\x01" next=x'),
        (b'path="C:\\tmp\\" next=x', b'path="\x01" next=x'),
        (b'"GET / HTTP/1.1" "curl/8.5 (x; y)"', b'"GET / \x01" "\x01"'),
        (b"\x1b[31mERROR\x1b[0m disk [7] full", b"ERROR disk [\x01] full"),
        (b"\x1b[31;1mERROR\x1b[0m key: value", b"ERROR key: value"),  # a colour opens no bracket
        (b"a\x1b b", b"a b"),
    ],
)
def test_what_is_data_in_lines_of_many_kinds(line, shape):
    assert shape_of(line) == shape
