//! Nothing gets out: no network, no processes, no host files. All of it fails with ordinary
//! Python errors, and the session goes on.

use std::time::Duration;

use crate::support::{Client, Gateway};

async fn session() -> Client {
    let mut client = Gateway::shared().user().connect().open().await;
    client.patience = Duration::from_secs(30);
    client
}

/// Runs each line, which must fail with one of the errors.
async fn each_fails(lines: &[&str], errors: &[&str]) {
    let mut client = session().await;
    for line in lines {
        let turn = client.run(line).await;
        assert_eq!(turn.status(), "error", "{line}: {}", turn.finished().raw);
        assert_eq!(turn.state(), "kept", "{line}");
        let name = turn.finished()["error"]["name"].as_str().unwrap();
        assert!(
            errors.contains(&name),
            "{line}: {} is none of {errors:?}",
            turn.finished()["error"]
        );
    }
    assert_eq!(client.print("print('on')").await, "on\n");
}

/// `OSError` and the names of its kinds.
const OS_ERRORS: &[&str] = &[
    "OSError",
    "FileNotFoundError",
    "PermissionError",
    "NotADirectoryError",
    "IsADirectoryError",
    "FileExistsError",
    "BlockingIOError",
    "UnsupportedOperation",
];

#[tokio::test]
async fn there_is_no_network() {
    each_fails(
        &[
            "import socket; socket.create_connection(('127.0.0.1', 80), 1)",
            "import socket; socket.socket().connect(('127.0.0.1', 80))",
            "import socket; socket.socket().bind(('127.0.0.1', 0))",
            "import socket; socket.getaddrinfo('example.com', 80)",
            "import urllib.request; urllib.request.urlopen('http://127.0.0.1/')",
            "import http.client; http.client.HTTPConnection('127.0.0.1').request('GET', '/')",
        ],
        &[
            "OSError",
            "gaierror",
            "URLError",
            "AttributeError",
            "ImportError",
            "ModuleNotFoundError",
            "PermissionError",
            "ConnectionRefusedError",
            "NotImplementedError",
        ],
    )
    .await;
}

#[tokio::test]
async fn there_are_no_processes_and_no_threads() {
    each_fails(
        &[
            "import subprocess; subprocess.run(['/bin/sh', '-c', 'id'])",
            "import os; os.fork()",
            "import os; os.execv('/bin/sh', ['sh'])",
            "import os; os.system('id')",
            "import os; os.kill(1, 9)",
            "import multiprocessing; multiprocessing.Process(target=print).start()",
            "import threading; threading.Thread(target=print).start()",
            "import ctypes; ctypes.CDLL(None).system(b'id')",
        ],
        &[
            "OSError",
            "AttributeError",
            "ImportError",
            "ModuleNotFoundError",
            "RuntimeError",
            "NotImplementedError",
            "PermissionError",
            "BlockingIOError",
        ],
    )
    .await;
}

#[tokio::test]
async fn no_host_file_can_be_read() {
    each_fails(
        &[
            "open('/etc/passwd')",
            "open('/work/../etc/passwd')",
            "open('../../../../../../etc/passwd')",
            "open('/proc/self/environ')",
            "open('/proc/1/cmdline')",
            "open('/dev/mem', 'rb')",
            "open('/sys/kernel/version')",
            "import os; os.listdir('/proc')",
            "import os; os.listdir('/home')",
            "import os; os.listdir('/root')",
            "import os; os.symlink('/etc/passwd', '/work/link'); open('/work/link')",
            "import os; os.symlink('../../etc', '/work/dir'); os.listdir('/work/dir')",
            "import os; os.link('/etc/passwd', '/work/hard')",
            "import os; os.chdir('/etc')",
        ],
        OS_ERRORS,
    )
    .await;
}

#[tokio::test]
async fn only_work_and_tmp_can_be_written() {
    each_fails(
        &[
            "open('/x', 'w')",
            "open('/etc/x', 'w')",
            "open('/usr/x', 'w')",
            "import os; os.mkdir('/new')",
            "import os; os.mkdir('/usr/local/new')",
            "import os; open(os.__file__, 'a')",
            "import os; os.remove(os.__file__)",
            "import numpy; open(numpy.__file__, 'w')",
            "import numpy, os; os.rename(numpy.__file__, '/work/n')",
            "import os; os.rename('/work', '/elsewhere')",
            "import os; os.rmdir('/tmp')",
        ],
        OS_ERRORS,
    )
    .await;
    let printed = session()
        .await
        .print(
            "for name in '/work/a', '/tmp/b', 'c':\n    \
                 with open(name, 'w') as file: _ = file.write('x')\n    \
                 print(open(name).read())",
        )
        .await;
    assert_eq!(printed, "x\nx\nx\n");
}

#[tokio::test]
async fn the_tree_holds_only_what_a_guest_needs() {
    let mut client = session().await;
    let top = client
        .print("import os\nprint(*sorted(os.listdir('/')))")
        .await;
    for name in top.split_whitespace() {
        assert!(
            ["work", "tmp", "usr", "lib", "dev"].contains(&name),
            "/{name} is visible: {top}"
        );
    }
    assert_eq!(
        client.print("print(os.getcwd(), os.listdir())").await,
        "/work []\n"
    );
}

#[tokio::test]
async fn the_environment_holds_nothing_of_the_hosts() {
    let gateway = Gateway::shared();
    let mut client = session().await;
    let environment = client
        .print("import os, sys\nprint(dict(os.environ), sys.argv, sys.path)")
        .await;
    for leak in [
        "WEIR",
        "SECRET",
        gateway.secret.as_str(),
        "PATH=",
        "CARGO",
        "/home/",
        "/root",
        "target",
    ] {
        assert!(!environment.contains(leak), "{leak}: {environment}");
    }
}

#[tokio::test]
async fn files_have_a_quota() {
    let mut client = Gateway::small().user().connect().open().await;
    let turn = client
        .run("with open('/work/big', 'wb') as file:\n    for _ in range(20): file.write(bytes(100_000))")
        .await;
    turn.raises("OSError");
    let turn = client
        .run(
            "for n in range(10):\n    \
                 with open(f'/tmp/{n}', 'wb') as file: _ = file.write(bytes(500_000))",
        )
        .await;
    turn.raises("OSError");
    assert_eq!(
        client
            .print(
                "import os\n\
                 total = sum(os.path.getsize(os.path.join(d, f)) for t in ('/work', '/tmp') for d, _, fs in os.walk(t) for f in fs)\n\
                 print(total <= 2 * 1024 * 1024)\n\
                 for t in ('/work', '/tmp'):\n    \
                     for d, _, fs in os.walk(t):\n        \
                         for f in fs: os.remove(os.path.join(d, f))\n\
                 n = open('/work/again', 'wb').write(bytes(500_000))\n\
                 print(n)"
            )
            .await,
        "True\n500000\n"
    );
}

#[tokio::test]
async fn names_and_descriptors_have_a_bound() {
    let mut client = session().await;
    let turn = client
        .run("handles = []\nwhile True: handles.append(open('/work/f', 'w'))")
        .await;
    turn.raises("OSError");
    client.print("del handles").await;
    let turn = client
        .run("import os\nfor n in range(20_000): os.mkdir(f'/work/{n}')")
        .await;
    turn.raises("OSError");
    assert_eq!(
        client
            .print("print(5_000 < len(os.listdir('/work')) <= 10_000)")
            .await,
        "True\n"
    );
}

#[tokio::test]
async fn memory_of_one_session_is_never_seen_in_another() {
    let user = Gateway::shared().user();
    let marker = crate::support::seed::fresh_name("marker");
    let mut one = user.join("one").open().await;
    one.print(&format!(
        "marker = '{marker}' * 100_000\nb = marker.encode()"
    ))
    .await;
    one.send(serde_json::json!({"type": "close", "id": "x"}))
        .await;
    one.closing().await;
    let half = &marker[..marker.len() - 4];
    for name in ["two", "three"] {
        let mut other = user.join(name).open().await;
        let printed = other
            .print(&format!(
                "import numpy as np\n\
                 raw = np.empty(100_000_000, dtype=np.uint8)\n\
                 print(bytes(raw).count(b'{half}'))"
            ))
            .await;
        assert_eq!(printed, "0\n");
    }
}

#[tokio::test]
async fn a_guest_that_speaks_to_the_host_itself_harms_only_itself() {
    let mut client = session().await;
    client
        .print("import _host, json\ndef say(b):\n    try: _host.call(b)\n    except Exception as e: print(type(e).__name__)")
        .await;
    for line in [
        "say(b'')",
        "say(b'z{}')",
        "say(b'r')",
        "say(b'r' + b'[' * 1_000_000)",
        "say(b'r' + json.dumps({'text': 'forged', 'truncated': False, 'json': '{'}).encode())",
        "say(b'r' + json.dumps({'text': 'x' * 1_000_000, 'truncated': False, 'json': None}).encode())",
        "say(b'd' + json.dumps({'data': {'text/plain': 'x' * 20_000_000}, 'metadata': {}}).encode())",
        "say(b'd' + json.dumps({'data': {'a\\0b': [1]}, 'metadata': {'\\ud800': 1}}).encode())",
        "say(b'e' + json.dumps({'exit': 10 ** 30, 'error': None}).encode())",
        "say(b'e' + json.dumps({'exit': None, 'error': {'name': 'x' * 100_000, 'message': '', 'traceback': ''}}).encode())",
        "say(bytes([101, 255, 254]))",
    ] {
        let turn = client.run(line).await;
        assert_eq!(turn.all_of_kind("finished").len(), 1);
        assert_eq!(turn.status(), "ok", "{line}: {}", turn.finished().raw);
    }
    assert_eq!(client.print("print('on')").await, "on\n");
}
