//! A turn ends once and for a named reason; whatever it was, the session goes on.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Client, Gateway, Turn};

async fn session() -> Client {
    let mut client = Gateway::shared().user().connect().open().await;
    client.patience = Duration::from_secs(30);
    client
}

/// Runs `code` between a turn that leaves traces and one that looks for them: they must agree with
/// the `session_state` that was told.
async fn survives(code: &str) -> Turn {
    let mut client = session().await;
    survives_in(&mut client, code).await
}

async fn survives_in(client: &mut Client, code: &str) -> Turn {
    client
        .print("x = 'before'; open('/work/trace', 'w').write('before'); print(x)")
        .await;
    let turn = client
        .run(&format!(
            "x = 'during'; open('/work/trace', 'w').write('during')\n{code}"
        ))
        .await;
    let found = match turn.state() {
        "kept" => "during",
        "rolled_back" => "before",
        other => panic!("session_state {other}"),
    };
    assert_eq!(
        client.print("print(x, open('/work/trace').read())").await,
        format!("{found} {found}\n"),
        "the session is not as told: {}",
        turn.finished().raw
    );
    turn
}

#[tokio::test]
async fn a_traceback_shows_the_users_lines_and_none_of_ours() {
    let mut client = session().await;
    client
        .print("def fail(n):\n    return 10 // n  # here")
        .await;
    let turn = client.run("y = 1\nfail(y - 1)").await;
    turn.raises("ZeroDivisionError");
    let traceback = turn.finished()["error"]["traceback"].as_str().unwrap();
    for wanted in [
        "Traceback (most recent call last)",
        "File \"<turn 2>\", line 2, in <module>",
        "fail(y - 1)",
        "File \"<turn 1>\", line 2, in fail",
        "return 10 // n  # here",
        "ZeroDivisionError",
    ] {
        assert!(traceback.contains(wanted), "{wanted:?} in {traceback}");
    }
    for ours in ["weir", "reactor", "exec(", "prelude"] {
        assert!(!traceback.contains(ours), "{ours:?} in {traceback}");
    }
    assert_eq!(turn.stderr(), traceback, "it is on stderr as well");
}

#[tokio::test]
async fn chained_errors_show_none_of_our_frames_either() {
    let turn = session()
        .await
        .run("try:\n    {}['a']\nexcept KeyError as error:\n    raise ValueError('bad') from error")
        .await;
    assert_eq!(turn.raises("ValueError"), "bad");
    let traceback = turn.finished()["error"]["traceback"].as_str().unwrap();
    assert!(traceback.contains("KeyError: 'a'") && traceback.contains("direct cause"));
    assert!(!traceback.contains("weir"), "{traceback}");
}

#[tokio::test]
async fn a_syntax_error_names_its_place() {
    let turn = survives_nothing("print('a')\nif True\n    pass").await;
    turn.raises("SyntaxError");
    let traceback = turn.finished()["error"]["traceback"].as_str().unwrap();
    assert!(
        traceback.contains("\"<turn 1>\", line 2") && traceback.contains("if True"),
        "{traceback}"
    );
    assert_eq!(turn.stdout(), "", "nothing of it ran");
}

async fn survives_nothing(code: &str) -> Turn {
    session().await.run(code).await
}

#[tokio::test]
async fn a_filename_names_the_code_in_tracebacks() {
    let turn = session()
        .await
        .run_with(json!({"code": "a = 1\nboom", "filename": "cell 7.py"}))
        .await;
    turn.raises("NameError");
    let traceback = turn.finished()["error"]["traceback"].as_str().unwrap();
    assert!(
        traceback.contains("File \"cell 7.py\", line 2"),
        "{traceback}"
    );
    assert!(traceback.contains("boom"), "{traceback}");
}

#[tokio::test]
async fn an_error_whose_text_fails_is_still_told() {
    let turn = survives("class E(Exception):\n    def __str__(self): raise E()\nraise E()").await;
    turn.raises("E");
}

#[tokio::test]
async fn exit_ends_the_turn_and_not_the_session() {
    let cases = [
        ("exit()", "ok", 0),
        ("exit(0)", "ok", 0),
        ("quit()", "ok", 0),
        ("import sys; sys.exit(0)", "ok", 0),
        ("exit(3)", "exit", 3),
        ("import sys; sys.exit(200)", "exit", 200),
        ("exit(-1)", "exit", -1),
        ("exit(True)", "exit", 1),
        ("exit(False)", "ok", 0),
        ("raise SystemExit(4)", "exit", 4),
    ];
    for (code, status, exit_code) in cases {
        let turn = survives(&format!("{code}\nprint('not reached')")).await;
        turn.ends(status, exit_code);
        assert_eq!(turn.state(), "kept", "{code}");
        assert_eq!(turn.stdout(), "", "{code}");
        assert_eq!(turn.finished()["error"].is_null(), status == "ok", "{code}");
    }
}

#[tokio::test]
async fn an_exit_beyond_any_number_is_still_an_exit() {
    for code in ["exit(2 ** 100)", "exit(-2 ** 100)", "exit([1])"] {
        let turn = survives(code).await;
        assert_eq!(turn.status(), "exit", "{code}: {}", turn.finished().raw);
        assert_eq!(turn.state(), "kept", "{code}");
    }
}

#[tokio::test]
async fn an_exit_with_a_text_says_it_on_stderr() {
    let turn = survives("import sys; sys.exit('out of cheese')").await;
    turn.ends("exit", 1);
    assert_eq!(turn.stderr(), "out of cheese\n");
}

#[tokio::test]
async fn os_exit_rolls_back() {
    for code in [5, 0, 255] {
        let turn = survives(&format!("import os; print('told'); os._exit({code})")).await;
        turn.ends("exit", code);
        assert_eq!(turn.state(), "rolled_back");
        assert_eq!(
            turn.stdout(),
            "told\n",
            "output before the end is delivered"
        );
    }
}

#[tokio::test]
async fn an_abort_is_a_crash_and_rolls_back() {
    let turn = survives("import os; print('told'); os.abort()").await;
    turn.ends("crashed", 134);
    assert_eq!(turn.state(), "rolled_back");
    assert_eq!(turn.stdout(), "told\n");
    let error = &turn.finished()["error"];
    assert_eq!(error["name"], "crashed", "{error}");
}

#[tokio::test]
async fn deep_recursion_in_python_is_an_error() {
    let turn = survives("def f(n): return f(n + 1) + 1\nf(0)").await;
    turn.raises("RecursionError");
    assert_eq!(turn.state(), "kept");
}

#[tokio::test]
async fn deep_recursion_in_c_ends_cleanly() {
    for code in [
        "import json; json.loads('[' * 200_000)",
        "import json; json.loads('{\"a\":' * 200_000)",
        "a = []\nfor _ in range(200_000): a = [a]\nrepr(a)",
        "a = []\nfor _ in range(200_000): a = [a]\na == a.copy()",
        "import ast; ast.parse('(' * 100_000)",
        "eval('-' * 200_000 + '1')",
        "import pickle, copy\na = []\nfor _ in range(100_000): a = [a]\ncopy.deepcopy(a)",
        "import re; re.compile('(' * 20_000 + ')' * 20_000)",
    ] {
        let turn = survives(code).await;
        assert!(
            ["error", "crashed", "memory_limit", "ok"].contains(&turn.status()),
            "{code}: {}",
            turn.finished().raw
        );
    }
}

#[tokio::test]
async fn recursion_beyond_the_stack_never_costs_the_session() {
    let turn =
        survives("import sys; sys.setrecursionlimit(10 ** 7)\ndef f(n): return f(n + 1) + 1\nf(0)")
            .await;
    assert!(
        ["error", "crashed", "memory_limit"].contains(&turn.status()),
        "{}",
        turn.finished().raw
    );
}

#[tokio::test]
async fn memory_beyond_the_limit_is_refused_and_the_session_lives() {
    for code in [
        "b = bytearray(600 * 1024 * 1024)",
        "a = []\nwhile True: a.append(bytearray(1_000_000))",
        "import numpy as np; a = np.ones(80_000_000)",
        "a = 'x' * (2 ** 31 - 100)",
    ] {
        let turn = survives(code).await;
        turn.ends("memory_limit", 137);
    }
}

#[tokio::test]
async fn a_handled_memory_error_is_no_end() {
    let turn = survives(
        "try:\n    b = bytearray(600 * 1024 * 1024)\nexcept MemoryError:\n    print('handled')",
    )
    .await;
    assert_eq!(turn.ok(), "handled\n");
}

#[tokio::test]
async fn spent_fuel_ends_the_turn() {
    let mut client = session().await;
    for code in [
        "while True: pass",
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "sum(range(10 ** 12))",
    ] {
        client.print("x = 1").await;
        let turn = client
            .run_with(json!({"code": format!("x = 2\n{code}"), "fuel": 2_000_000_000_u64}))
            .await;
        turn.ends("cpu_limit", 152);
        let expected = if turn.state() == "kept" { "2\n" } else { "1\n" };
        assert_eq!(client.print("print(x)").await, expected);
        let spent = turn.finished()["metrics"]["fuel"].as_u64().unwrap();
        assert!(spent >= 1_000_000_000, "{}", turn.finished().raw);
    }
}

#[tokio::test]
async fn a_closed_stdout_is_an_error_for_one_turn_only() {
    let mut client = session().await;
    let turn = client
        .run("import sys; sys.stdout.close()\nprint('x')")
        .await;
    turn.raises("ValueError");
    assert_eq!(client.print("print('back')").await, "back\n");
    client.run("import os; os.close(1)\nprint('x')").await;
    assert_eq!(client.print("print('back again')").await, "back again\n");
}

#[tokio::test]
async fn what_a_program_does_to_its_interpreter_harms_only_itself() {
    let mut client = session().await;
    client
        .run("import builtins, sys, json, traceback\nbuiltins.__dict__.clear()")
        .await;
    let turn = client.run("print(1)").await;
    assert!(["ok", "error", "crashed"].contains(&turn.status()));
    let mut other = session().await;
    assert_eq!(other.print("print(1)").await, "1\n");
}

#[tokio::test]
async fn finished_says_all_that_the_contract_names() {
    let mut client = session().await;
    let turn = client.run("print('x' * 1000)").await;
    let finished = turn.finished();
    for field in [
        "id",
        "turn",
        "status",
        "exit_code",
        "error",
        "session_state",
        "truncated",
        "metrics",
    ] {
        assert!(
            finished.json.get(field).is_some(),
            "{field}: {}",
            finished.raw
        );
    }
    assert_eq!(finished["truncated"], false);
    let metrics = &finished["metrics"];
    for metric in [
        "queue_ms",
        "wall_ms",
        "cpu_ms",
        "fuel",
        "memory_bytes",
        "output_bytes",
        "checkpoint_bytes",
    ] {
        assert!(metrics[metric].is_number(), "{metric}: {metrics}");
    }
    assert_eq!(metrics["output_bytes"], 1001);
    assert!(metrics["memory_bytes"].as_u64().unwrap() > 1 << 20);
    assert!(metrics["fuel"].as_u64().unwrap() > 0);
    assert_eq!(finished["error"], Value::Null);
}
