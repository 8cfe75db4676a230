//! A session is one interpreter: what a turn leaves behind, the next one finds.

use std::time::Duration;

use serde_json::json;

use crate::support::{Client, Gateway};

async fn session() -> Client {
    let mut client = Gateway::shared().user().connect().open().await;
    client.patience = Duration::from_secs(30);
    client
}

#[tokio::test]
async fn numpy_and_pandas_are_there_in_the_first_turn() {
    let printed = session()
        .await
        .print(
            "import numpy as np, pandas as pd\n\
             print(pd.DataFrame({'a': np.arange(4) ** 2})['a'].sum())",
        )
        .await;
    assert_eq!(printed, "14\n");
}

#[tokio::test]
async fn everything_a_turn_made_lives_on() {
    let mut client = session().await;
    client
        .print(
            "import math, numpy as np, re, types\n\
             x = 41\n\
             def add(n): return x + n\n\
             class Point:\n    \
                 def __init__(self, n): self.n = n\n    \
                 def double(self): return self.n * 2\n\
             point = Point(21)\n\
             def count():\n    \
                 got = yield 1\n    \
                 while True: got = yield got * 10\n\
             counter = count(); next(counter)\n\
             array = np.arange(1000)\n\
             pattern = re.compile(r'(\\d+)')\n\
             module = types.ModuleType('module'); module.value = 5",
        )
        .await;
    let cases = [
        ("print(x)", "41\n"),
        ("print(add(1))", "42\n"),
        (
            "print(point.double(), isinstance(point, Point))",
            "42 True\n",
        ),
        ("print(counter.send(7))", "70\n"),
        ("print(counter.send(8))", "80\n"),
        ("print(int(array.sum()))", "499500\n"),
        ("print(pattern.search('abc123')[1])", "123\n"),
        ("print(math.sqrt(16), module.value)", "4.0 5\n"),
        ("x += 1\nprint(add(1))", "43\n"),
        ("del x\nprint('x' in globals())", "False\n"),
    ];
    for (code, expected) in cases {
        assert_eq!(client.print(code).await, expected, "{code}");
    }
}

#[tokio::test]
async fn files_live_on_between_turns() {
    let mut client = session().await;
    client
        .print(
            "import os\n\
             os.makedirs('data/deep')\n\
             open('data/deep/a.txt', 'w').write('one\\n')\n\
             handle = open('data/deep/a.txt', 'a+')\n\
             open('/tmp/t', 'wb').write(bytes(1000))",
        )
        .await;
    assert_eq!(
        client
            .print(
                "n = handle.write('two\\n'); handle.flush()\n\
                 print(os.getcwd(), open('/work/data/deep/a.txt').read().split(), os.path.getsize('/tmp/t'))"
            )
            .await,
        "/work ['one', 'two'] 1000\n"
    );
    assert_eq!(
        client
            .print(
                "os.rename('data/deep/a.txt', 'b.txt')\n\
                 handle.write('three\\n'); handle.seek(0)\n\
                 print(handle.read().split(), sorted(os.listdir()), os.listdir('data/deep'))\n\
                 os.truncate('b.txt', 3)\n\
                 print(open('b.txt').read())"
            )
            .await,
        "['one', 'two', 'three'] ['b.txt', 'data'] []\none\n"
    );
}

#[tokio::test]
async fn sqlite_works_on_a_file() {
    let mut client = session().await;
    client
        .print(
            "import sqlite3\n\
             db = sqlite3.connect('/work/shop.db')\n\
             with db:\n    \
                 _ = db.execute('create table t (n integer primary key, name text)')\n    \
                 _ = db.executemany('insert into t values (?, ?)', [(i, f'n{i}') for i in range(1000)])",
        )
        .await;
    assert_eq!(
        client
            .print(
                "print(db.execute('select count(*), max(name) from t').fetchone())\n\
                 db.close()\n\
                 again = sqlite3.connect('/work/shop.db')\n\
                 print(again.execute('select sum(n) from t').fetchone(), again.execute('pragma integrity_check').fetchone())"
            )
            .await,
        "(1000, 'n999')\n(499500,) ('ok',)\n"
    );
}

#[tokio::test]
async fn sessions_do_not_share_variables_files_or_chance() {
    let user = Gateway::shared().user();
    let mut one = user.join("one").open().await;
    let mut two = user.join("two").open().await;
    one.print("secret = 1; open('/work/f', 'w').write('x'); open('/tmp/f', 'w').write('x')")
        .await;
    assert_eq!(
        two.print("import os\nprint('secret' in globals(), os.listdir('/work'), 'f' in os.listdir('/tmp'))")
            .await,
        "False [] False\n"
    );
    let chance = "import random, uuid, os, secrets, numpy\n\
                  print(random.random(), numpy.random.rand(), uuid.uuid4(), secrets.token_hex(), os.urandom(8))";
    let (first, second) = (one.print(chance).await, two.print(chance).await);
    for (a, b) in first.split_whitespace().zip(second.split_whitespace()) {
        assert_ne!(a, b, "the same chance in two sessions");
    }
}

#[tokio::test]
async fn turns_are_numbered_from_one_and_name_their_code() {
    let mut client = session().await;
    for expected in 1..=3 {
        let turn = client.run("print(__name__)").await;
        assert_eq!(turn.number(), expected);
        assert_eq!(turn.ok(), "__main__\n");
    }
    let turn = client.run_with(json!({"code": "1 / 0"})).await;
    assert_eq!(turn.number(), 4);
    turn.raises("ZeroDivisionError");
    let traceback = turn.finished()["error"]["traceback"].as_str().unwrap();
    assert!(traceback.contains("\"<turn 4>\", line 1"), "{traceback}");
}

#[tokio::test]
async fn the_monotonic_clock_never_runs_back() {
    let mut client = session().await;
    client
        .print("import time, os\nopen('clock', 'w').write(repr(time.monotonic()))")
        .await;
    let turn = client.run("os._exit(5)").await;
    assert_eq!(turn.ends("exit", 5).state(), "rolled_back");
    assert_eq!(
        client
            .print("print(time.monotonic() >= float(open('clock').read()), time.time() > 1.7e9)")
            .await,
        "True True\n"
    );
}
