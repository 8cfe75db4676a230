//! `weir run`, with the real interpreter.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::program::{Ended, ended, weir};

fn run_code(code: &str, args: &[&str]) -> Ended {
    let mut command = weir(["run"]);
    ended(command.args(args).arg("-"), code)
}

/// Writes a script into a directory, where it runs.
fn script(directory: &Path, code: &str, args: &[&str]) -> Command {
    std::fs::write(directory.join("script.py"), code).unwrap();
    let mut command = weir(["run", "script.py"]);
    command.args(args).current_dir(directory);
    command
}

/// Starts it with pipes, and hands out those one talks through.
fn talk(command: &mut Command) -> (Child, BufReader<ChildStdout>) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    (child, stdout)
}

fn line(from: &mut impl BufRead) -> String {
    let mut line = String::new();
    from.read_line(&mut line).unwrap();
    line
}

fn interrupt(child: &Child) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
}

#[test]
fn a_program_gets_its_arguments_and_nothing_of_ours() {
    let home = tempfile::tempdir().unwrap();
    let code = "import sys\nprint(sys.argv, __file__, __name__)\n\
                print(sorted(n for n in dir() if not n.startswith('__')))\n";
    let mut command = script(home.path(), code, &["--", "--fast", "a b", "é\"\\"]);
    let ended = ended(&mut command, "");
    assert_eq!(
        ended.stdout,
        "['script.py', '--fast', 'a b', 'é\"\\\\'] script.py __main__\n['sys']\n"
    );
    assert_eq!(ended.stderr, "");
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_program_s_end_is_ours() {
    for (code, expected) in [
        ("x = 1", 0),
        ("raise SystemExit(7)", 7),
        ("import os; os._exit(9)", 9),
        ("1/0", 1),
        ("bytearray(10**9)", 137),
    ] {
        let ended = run_code(code, &[]);
        assert_eq!(ended.code, Some(expected), "{code}: {ended:?}");
    }
}

#[test]
fn a_traceback_shows_the_program_s_own_lines_only() {
    let home = tempfile::tempdir().unwrap();
    let mut command = script(home.path(), "def f():\n    1/0\nf()\n", &[]);
    let failed = ended(&mut command, "");
    assert!(failed.stderr.contains("File \"script.py\", line 3"));
    assert!(
        failed
            .stderr
            .contains("ZeroDivisionError: division by zero")
    );
    assert_eq!(failed.stderr.matches("File ").count(), 2, "{failed:?}");
    assert_eq!(failed.stdout, "");
}

#[test]
fn a_value_is_not_printed_and_streams_are_kept_apart() {
    let code = "import sys\nprint('out')\nprint('err', file=sys.stderr)\n6 * 7\n";
    let ended = run_code(code, &[]);
    assert_eq!((&*ended.stdout, &*ended.stderr), ("out\n", "err\n"));
}

#[test]
fn output_comes_while_the_program_runs_and_input_goes_in() {
    let home = tempfile::tempdir().unwrap();
    let code = "name = input('name? ')\nprint('hello', name)\n\
                import sys\nfor line in sys.stdin: print('got', line.strip())\n";
    let (mut child, mut stdout) = talk(&mut script(home.path(), code, &[]));
    let mut stdin = child.stdin.take().unwrap();
    let mut prompt = [0; 6];
    stdout.read_exact(&mut prompt).unwrap();
    assert_eq!(&prompt, b"name? ");
    stdin.write_all(b"Ada\n").unwrap();
    assert_eq!(line(&mut stdout), "hello Ada\n");
    stdin.write_all(b"one\n").unwrap();
    assert_eq!(line(&mut stdout), "got one\n");
    drop(stdin);
    assert_eq!(line(&mut stdout), "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn input_that_nobody_reads_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(b"for somebody else\n").unwrap();
    drop(writer);
    let mut command = script(home.path(), "print(1)", &[]);
    let status = command
        .stdin(reader.try_clone().unwrap())
        .stdout(Stdio::null())
        .status();
    assert!(status.unwrap().success());
    let mut left = String::new();
    reader.read_to_string(&mut left).unwrap();
    assert_eq!(left, "for somebody else\n");
}

#[test]
fn much_output_passes_through_whole() {
    let ended = run_code("for i in range(100_000): print(i)", &[]);
    assert_eq!(ended.stdout.lines().count(), 100_000);
    assert!(ended.stdout.ends_with("\n99999\n"));
}

#[test]
fn a_timeout_ends_a_busy_program_and_a_sleeping_one() {
    for code in ["while True: pass", "import time; time.sleep(60)"] {
        let ended = run_code(code, &["--timeout", "0.5"]);
        assert_eq!(ended.code, Some(124), "{code}: {ended:?}");
    }
}

#[test]
fn an_interrupt_is_python_s_own() {
    let home = tempfile::tempdir().unwrap();
    let code = "print('ready')\nwhile True: pass\n";
    let (child, mut stdout) = talk(&mut script(home.path(), code, &[]));
    assert_eq!(line(&mut stdout), "ready\n");
    interrupt(&child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.ends_with("KeyboardInterrupt\n"), "{ended:?}");
}

#[test]
fn a_program_that_will_not_be_interrupted_is_stopped() {
    let home = tempfile::tempdir().unwrap();
    let code = "print('ready')\nwhile True:\n    try:\n        while True: pass\n    \
                except KeyboardInterrupt: print('no')\n";
    let (child, mut stdout) = talk(&mut script(home.path(), code, &[]));
    assert_eq!(line(&mut stdout), "ready\n");
    interrupt(&child);
    assert_eq!(line(&mut stdout), "no\n");
    interrupt(&child);
    let ended = Ended::from(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("was stopped"), "{ended:?}");
}

#[test]
fn a_reader_that_goes_away_ends_the_program() {
    let home = tempfile::tempdir().unwrap();
    let code = "while True: print('x' * 1000)\n";
    let (mut child, mut stdout) = talk(&mut script(home.path(), code, &[]));
    line(&mut stdout);
    drop(stdout);
    assert_eq!(child.wait().unwrap().code(), Some(141));
}

#[test]
fn figures_become_files_and_never_replace_any() {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("figure-1.png"), "mine").unwrap();
    let code = "import matplotlib.pyplot as plt\nplt.plot([1, 2]); plt.show()\nplt.plot([3, 4])\n";
    let ended = ended(&mut script(home.path(), code, &[]), "");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("weir: wrote figure-2.png ("));
    assert!(ended.stderr.contains("weir: wrote figure-3.png ("));
    let read = |name: &str| std::fs::read(home.path().join(name)).unwrap();
    assert_eq!(read("figure-1.png"), b"mine");
    assert!(read("figure-3.png").starts_with(b"\x89PNG"));
}

#[test]
fn what_is_no_program_is_one_line() {
    let home = tempfile::tempdir().unwrap();
    let mut missing = weir(["run", "missing.py"]);
    let missing = ended(missing.current_dir(home.path()), "");
    missing.expect_failure(1, "cannot read missing.py: No such file");
    std::fs::write(home.path().join("binary"), b"a\xff").unwrap();
    let mut binary = weir(["run", "binary"]);
    let binary = ended(binary.current_dir(home.path()), "");
    binary.expect_failure(2, "binary is not a program in UTF-8: see its byte 1");
    let unknown = run_code("", &["--language", "cobol"]);
    unknown.expect_failure(2, "there is no interpreter \"cobol\"");
}
