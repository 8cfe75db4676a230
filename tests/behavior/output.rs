//! What a program writes is heard as it writes it, whole and in order.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::turn::output_bytes;
use crate::support::{Gateway, Turn};

async fn run(code: &str) -> Turn {
    let mut client = Gateway::shared().user().connect().open().await;
    client.patience = Duration::from_secs(30);
    client.run(code).await
}

/// Events of one stream in a row, joined: how finely a gateway cuts is its own affair.
fn pieces(turn: &Turn) -> Vec<(String, Vec<u8>)> {
    let mut pieces: Vec<(String, Vec<u8>)> = Vec::new();
    for event in turn.all_of_kind("output") {
        let stream = event.text("stream");
        match pieces.last_mut() {
            Some((last, bytes)) if last == stream => bytes.extend(output_bytes(event)),
            _ => pieces.push((stream.into(), output_bytes(event))),
        }
    }
    pieces
}

#[tokio::test]
async fn a_print_is_heard() {
    let turn = run("print(6 * 7)").await;
    assert_eq!(turn.ok(), "42\n");
    let kinds: Vec<_> = turn.events.iter().map(|event| event.kind()).collect();
    assert_eq!(kinds, ["queued", "started", "output", "finished"]);
    assert_eq!(turn.finished()["metrics"]["output_bytes"], 3);
}

#[tokio::test]
async fn stdout_and_stderr_keep_their_true_order() {
    let turn = run("import sys\n\
         for i in range(50):\n    \
             print('out', i)\n    \
             print('err', i, file=sys.stderr)")
    .await;
    turn.ok();
    let expected: Vec<_> = (0..50)
        .flat_map(|i| {
            [("stdout", "out"), ("stderr", "err")]
                .map(|(stream, word)| (stream.to_owned(), format!("{word} {i}\n").into_bytes()))
        })
        .collect();
    assert_eq!(pieces(&turn), expected);
}

#[tokio::test]
async fn a_dot_without_a_newline_arrives_while_the_code_runs() {
    let turn = run("import time\nprint('.', end='')\ntime.sleep(1.5)").await;
    assert_eq!(turn.ok(), ".");
    let ahead = turn.finished().at - turn.of_kind("output").at;
    assert!(ahead > Duration::from_secs(1), "only {ahead:?} ahead");
}

#[tokio::test]
async fn characters_written_byte_by_byte_arrive_whole() {
    let turn = run("import sys, time\n\
         for byte in '😀é漢字'.encode():\n    \
             sys.stdout.buffer.write(bytes([byte]))\n    \
             sys.stdout.buffer.flush()\n    \
             time.sleep(0.02)")
    .await;
    assert_eq!(turn.ok(), "😀é漢字");
    for event in turn.all_of_kind("output") {
        assert!(event["text"].is_string(), "split: {}", event.raw);
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_come_as_base64() {
    let turn = run("import sys\nsys.stdout.buffer.write(bytes(range(256)))\nNone").await;
    turn.ends("ok", 0);
    assert_eq!(turn.bytes("stdout"), (0..=255).collect::<Vec<u8>>());
    let events = turn.all_of_kind("output");
    assert!(events.iter().any(|event| event["base64"].is_string()));
    for event in events {
        assert_ne!(event["text"].is_string(), event["base64"].is_string());
    }
}

#[tokio::test]
async fn half_a_character_at_the_end_is_not_lost() {
    let turn = run("import sys\nsys.stdout.buffer.write(b'ok\\xe2\\x82')\nNone").await;
    turn.ends("ok", 0);
    assert_eq!(turn.bytes("stdout"), b"ok\xe2\x82");
}

#[tokio::test]
async fn odd_characters_survive_the_way_through_json() {
    let text = "\0 \u{1} \u{7f} \u{2028} \\ \" </script> \u{1f468}\u{200d}\u{1f469} \u{feff}";
    let turn = run(&format!("print({})", python_literal(text))).await;
    assert_eq!(turn.ok(), format!("{text}\n"));
}

fn python_literal(text: &str) -> String {
    let escaped: String = text
        .chars()
        .map(|c| format!("\\U{:08x}", u32::from(c)))
        .collect();
    format!("'{escaped}'")
}

#[tokio::test]
async fn three_megabytes_in_one_write_arrive_byte_for_byte() {
    let turn = run("import sys\n\
         n = sys.stdout.write(''.join(f'{i:07}\\n' for i in range(393216)))")
    .await;
    let expected: String = (0..393_216).map(|i| format!("{i:07}\n")).collect();
    assert!(turn.ok() == expected, "the bytes differ");
    assert_eq!(turn.finished()["metrics"]["output_bytes"], 3 << 20);
    for event in turn.all_of_kind("output") {
        assert!(output_bytes(event).len() <= 256 << 10, "an event too large");
    }
}

#[tokio::test]
async fn wide_characters_by_the_megabyte_are_never_split() {
    let turn = run("print('x' + '漢😀é' * 200_000, end='')").await;
    assert!(turn.ok() == format!("x{}", "漢😀é".repeat(200_000)));
    for event in turn.all_of_kind("output") {
        assert!(event["text"].is_string(), "split: {:.80}", event.raw);
    }
}

#[tokio::test]
async fn twenty_thousand_lines_arrive_byte_for_byte() {
    let turn = run("for i in range(20_000):\n    print(i)").await;
    let expected: String = (0..20_000).map(|i| format!("{i}\n")).collect();
    assert!(turn.ok() == expected, "the bytes differ");
}

#[tokio::test]
async fn a_final_expression_is_the_result() {
    let cases = [
        ("1 + 1", Some(("2", Some(json!(2))))),
        ("'é'", Some(("'é'", Some(json!("é"))))),
        (
            "[1, {'a': None}]",
            Some(("[1, {'a': None}]", Some(json!([1, {"a": null}])))),
        ),
        ("{1, 2} - {1}", Some(("{2}", None))),
        ("float('nan')", Some(("nan", None))),
        ("x = 3\nx", Some(("3", Some(json!(3))))),
        ("None", None),
        ("x = 3", None),
        ("for i in range(3): i", None),
        ("# nothing", None),
    ];
    let mut client = Gateway::shared().user().connect().open().await;
    for (code, expected) in cases {
        let turn = client.run(code).await;
        assert_eq!(turn.ok(), "", "{code}");
        match expected {
            None => assert_eq!(turn.result(), None, "{code}"),
            Some((text, json)) => {
                let result = turn.of_kind("result");
                assert_eq!(result["text"], text, "{code}");
                assert_eq!(result.json.get("json").cloned(), json, "{code}");
            }
        }
    }
}

#[tokio::test]
async fn return_val_takes_the_place_of_the_final_expression() {
    let turn = run("return_val('first')\nreturn_val({'a': 1})\n'final'").await;
    turn.ok();
    let result = turn.of_kind("result");
    assert_eq!(result["text"], "{'a': 1}");
    assert_eq!(result["json"], json!({"a": 1}));
}

#[tokio::test]
async fn a_long_result_is_cut_and_said_to_be() {
    let turn = run("'x' * 100_000").await;
    turn.ends("ok", 0);
    assert_eq!(turn.finished()["truncated"], true);
    let result = turn.of_kind("result");
    assert!(result.text("text").len() <= 64 << 10);
    assert_eq!(result.json.get("json"), None);
}

#[tokio::test]
async fn no_value_makes_a_message_that_readers_choke_on() {
    let mut client = Gateway::shared().user().connect().open().await;
    for code in [
        "['\\ud800']",
        "return_val('\\ud800')",
        "float('inf')",
        "[float('nan')]",
        "10 ** 1000",
        "{'a': {1: 2, None: 3}}",
        "'\\0\\x1b\\u2028'",
        "a = []\nfor _ in range(500): a = [a]\na",
        "a = []; a.append(a); a",
    ] {
        // The client itself parses every frame, as strictly as most.
        client.run(code).await.ends("ok", 0);
    }
    let message = client
        .run("raise ValueError('\\udcff and \\ud800')")
        .await
        .raises("ValueError");
    assert!(message.contains(" and "), "{message}");
    client
        .run("print('\\ud800')")
        .await
        .raises("UnicodeEncodeError");
}

#[tokio::test]
async fn a_figure_arrives_as_a_real_png() {
    let turn = run("import matplotlib.pyplot as plt\n\
         plt.plot([1, 4, 9])\n\
         plt.title('squares')\n\
         plt.show()\n\
         print('after')")
    .await;
    assert_eq!(turn.ok(), "after\n");
    let display = turn.of_kind("display");
    assert_png(&display["data"]);
    assert!(
        display.seq() < turn.of_kind("output").seq(),
        "shown at show()"
    );
    assert!(display["metadata"].is_object());
}

#[tokio::test]
async fn figures_still_open_at_the_end_are_shown_and_closed() {
    let mut client = Gateway::shared().user().connect().open().await;
    let turn = client
        .run("import matplotlib.pyplot as plt\nfor i in range(2):\n    plt.figure(); plt.plot([i])")
        .await;
    turn.ok();
    let displays = turn.all_of_kind("display");
    assert_eq!(displays.len(), 2);
    displays.iter().for_each(|each| assert_png(&each["data"]));
    let next = client.run("print(plt.get_fignums())").await;
    assert_eq!(next.ok(), "[]\n");
    assert!(next.all_of_kind("display").is_empty());
}

fn assert_png(data: &Value) {
    use base64::Engine;
    let text = data["image/png"].as_str().expect("a PNG");
    let png = base64::engine::general_purpose::STANDARD
        .decode(text)
        .expect("base64");
    assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"));
    assert!(png.ends_with(b"IEND\xaeB\x60\x82"), "the PNG is whole");
    let size = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    assert!(
        (100..5000).contains(&size(16)) && (100..5000).contains(&size(20)),
        "{} x {}",
        size(16),
        size(20)
    );
    assert!(png.len() > 2000, "{} bytes are no plot", png.len());
}
