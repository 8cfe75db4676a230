//! Promises of `Artifacts::ensure`, with false clients on a path of their own, and one with the real
//! client and the real package.

use std::ffi::OsString;
use std::fs::{self, File, FileTimes};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::interpreters::fixture::{MODULE, Workshop};
use crate::interpreters::{Catalogue, Pack, Step};

const DEADLINE: Duration = Duration::from_secs(20);

/// Ensures the workshop's entry, and tells which steps were reported.
fn ensure(workshop: &Workshop) -> (Result<Artifacts, FetchError>, Vec<Step>) {
    ensure_with(workshop, &workshop.clients())
}

fn ensure_with(
    workshop: &Workshop,
    clients: &Clients,
) -> (Result<Artifacts, FetchError>, Vec<Step>) {
    let mut steps = Vec::new();
    let mut hear = |report: &crate::interpreters::Report<'_>| {
        if !report.done && steps.last() != Some(&report.step) {
            steps.push(report.step);
        }
    };
    let dir = workshop.interpreters();
    let outcome = Artifacts::ensure(&workshop.entry, &dir, clients, &mut hear);
    (outcome, steps)
}

fn refusal(workshop: &Workshop) -> String {
    ensure(workshop).0.unwrap_err().to_string()
}

/// Only the lock and the entry's own directory, with nothing but finished files in it.
fn expect_only_finished(workshop: &Workshop) {
    let home = workshop.entry.directory_name();
    assert_eq!(
        workshop.names(&workshop.interpreters()),
        [".lock".to_owned(), home]
    );
    let finished = [
        "MANIFEST",
        "data.pack",
        "lib.zip",
        "module.wasm",
        "verified",
    ];
    assert_eq!(workshop.names(&workshop.home()), finished);
}

fn set_modified(path: &Path, seconds: u64) {
    let file = File::options().write(true).open(path).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    file.set_times(FileTimes::new().set_modified(time)).unwrap();
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < DEADLINE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process of that id is at work; a zombie is not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.starts_with('Z'));
    state == Some(false)
}

#[test]
fn a_package_becomes_verified_files() {
    let workshop = Workshop::new();
    workshop.good_pip();
    let (outcome, steps) = ensure(&workshop);
    let artifacts = outcome.unwrap();
    assert_eq!(fs::read(artifacts.module()).unwrap(), MODULE);
    assert_eq!(artifacts.sha256("module.wasm"), Some(Sha256::of(MODULE)));
    assert_eq!(artifacts.path("unwanted"), None);
    let pairs = [("numpy", "2.5.2"), ("six", "1")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    assert_eq!(artifacts.packages(), pairs);
    let pack = Pack::open(&artifacts.path("data.pack").unwrap()).unwrap();
    assert_eq!(
        pack.read(pack.region("fonts/a.ttf").unwrap()).unwrap(),
        b"font"
    );
    assert_eq!(
        steps,
        [Step::Download, Step::Verify, Step::Extract, Step::Pack]
    );
    expect_only_finished(&workshop);
}

#[test]
fn an_npm_package_becomes_verified_files() {
    let workshop = Workshop::npm();
    workshop.client("npm", "cp $package $dest/sample-1.0.tgz");
    let artifacts = ensure(&workshop).0.unwrap();
    assert_eq!(fs::read(artifacts.module()).unwrap(), MODULE);
    assert!(
        workshop.calls()[0].ends_with("sample@1.0"),
        "{:?}",
        workshop.calls()
    );
    expect_only_finished(&workshop);
}

#[test]
fn a_relative_directory_is_the_one_that_the_caller_sees() {
    let workshop = Workshop::new();
    workshop.good_pip();
    let here = std::env::current_dir().unwrap();
    let up: PathBuf = here.components().skip(1).map(|_| "..").collect();
    let dir = up.join(workshop.interpreters().strip_prefix("/").unwrap());
    let clients = workshop.clients();
    assert!(Artifacts::ensure(&workshop.entry, &dir, &clients, &mut |_| ()).is_ok());
    expect_only_finished(&workshop);
}

#[test]
fn pip_is_told_the_digest_and_to_build_nothing() {
    let workshop = Workshop::new();
    workshop.client(
        "pip",
        "cp $dest/../requirements.txt $root/told; cp $package $dest/x.whl; \
         case $TMPDIR in $root/interpreters/.partial-*) ;; *) exit 9;; esac; \
         if read -r line; then exit 8; fi",
    );
    ensure(&workshop).0.unwrap();
    let told = fs::read_to_string(workshop.path("told")).unwrap();
    let sha256 = workshop.entry.archive.sha256;
    assert_eq!(told, format!("sample==1.0 --hash=sha256:{sha256}\n"));
    let call = &workshop.calls()[0];
    for option in [
        "--require-hashes",
        "--only-binary=:all:",
        "--no-deps",
        "--no-input",
    ] {
        assert!(call.contains(option), "{call}");
    }
}

#[test]
fn a_second_start_asks_no_client_and_reads_no_file() {
    let workshop = Workshop::new();
    workshop.good_pip();
    assert!(Artifacts::present(&workshop.entry, &workshop.interpreters()).is_none());
    ensure(&workshop).0.unwrap();
    let (outcome, steps) = ensure_with(&workshop, &Clients::new([]));
    assert!(outcome.is_ok() && steps.is_empty(), "{steps:?}");
    assert!(Artifacts::present(&workshop.entry, &workshop.interpreters()).is_some());
    assert_eq!(workshop.calls().len(), 1);
}

#[test]
fn a_file_with_another_time_is_read_again_and_kept_if_it_is_right() {
    let workshop = Workshop::new();
    workshop.good_pip();
    ensure(&workshop).0.unwrap();
    set_modified(&workshop.home().join("module.wasm"), 1_000);
    let (outcome, steps) = ensure(&workshop);
    assert!(outcome.is_ok());
    assert_eq!(steps, [Step::Verify]);
    assert_eq!(workshop.calls().len(), 1);
    assert!(ensure(&workshop).1.is_empty());
}

#[test]
fn a_damaged_file_is_replaced() {
    let workshop = Workshop::new();
    workshop.good_pip();
    ensure(&workshop).0.unwrap();
    let module = workshop.home().join("module.wasm");
    fs::write(&module, vec![b'x'; MODULE.len()]).unwrap();
    set_modified(&module, 1_000);
    let artifacts = ensure(&workshop).0.unwrap();
    assert_eq!(fs::read(artifacts.module()).unwrap(), MODULE);
    assert_eq!(workshop.calls().len(), 2);
    expect_only_finished(&workshop);
}

#[test]
fn a_lost_pack_is_made_again_without_a_download() {
    let workshop = Workshop::new();
    workshop.good_pip();
    ensure(&workshop).0.unwrap();
    fs::remove_file(workshop.home().join("data.pack")).unwrap();
    let (outcome, _) = ensure_with(&workshop, &Clients::new([]));
    assert!(Pack::open(&outcome.unwrap().path("data.pack").unwrap()).is_ok());
    expect_only_finished(&workshop);
}

#[test]
fn another_package_than_the_pinned_one_is_refused_and_not_kept() {
    let workshop = Workshop::new();
    workshop.client("pip", "echo forged > $dest/sample-1.0-py3-none-any.whl");
    let error = refusal(&workshop);
    let (expected, got) = (workshop.entry.archive.sha256, Sha256::of(b"forged\n"));
    let line = format!("wrong sha256 of sample 1.0 from PyPI: expected {expected}, got {got};");
    assert!(error.starts_with(&line), "{error}");
    assert!(workshop.names(&workshop.home()).is_empty());
}

#[test]
fn a_longer_package_than_the_pinned_one_is_refused_unread() {
    let workshop = Workshop::new();
    workshop.client("pip", "truncate -s 1T $dest/sample-1.0-py3-none-any.whl");
    let error = refusal(&workshop);
    assert!(
        error.starts_with("sample 1.0 from PyPI does not have the "),
        "{error}"
    );
    assert!(workshop.names(&workshop.home()).is_empty());
}

#[test]
fn a_wrong_file_in_the_right_package_is_named() {
    let mut workshop = Workshop::new();
    workshop.good_pip();
    workshop.entry.files[0].pin.sha256 = Sha256::of(b"something else");
    let error = refusal(&workshop);
    assert!(
        error.starts_with("wrong sha256 of module.wasm: expected "),
        "{error}"
    );
    assert!(!workshop.home().join("module.wasm").exists());
}

#[test]
fn a_missing_client_is_named_with_what_to_install() {
    let error = refusal(&Workshop::new());
    let expected =
        "fetching sample 1.0 from PyPI needs pip, and none of python3 -m pip, pip3, pip runs here";
    assert!(error.starts_with(expected), "{error}");
    assert!(error.contains("apt install python3-pip"), "{error}");
    let error = refusal(&Workshop::npm());
    assert!(
        error.contains("needs npm") && error.contains("apt install npm"),
        "{error}"
    );
}

#[test]
fn a_python_without_pip_is_passed_over() {
    let workshop = Workshop::new();
    workshop.good_pip();
    workshop.client("python3", "");
    let python = workshop.path("bin").join("python3");
    fs::remove_file(&python).unwrap();
    std::os::unix::fs::symlink("/bin/false", &python).unwrap();
    assert!(ensure(&workshop).0.is_ok());
}

#[test]
fn a_failing_client_is_quoted() {
    let workshop = Workshop::new();
    workshop.client(
        "pip3",
        "echo first >&2; echo 'ERROR: the mirror is closed' >&2; exit 3",
    );
    let expected =
        "pip3 could not fetch sample 1.0 from PyPI (exit status: 3): ERROR: the mirror is closed";
    assert_eq!(refusal(&workshop), expected);
    assert!(workshop.names(&workshop.home()).is_empty());
}

#[test]
fn a_client_that_leaves_nothing_has_failed() {
    let workshop = Workshop::new();
    workshop.client("pip", "exit 0");
    assert!(refusal(&workshop).ends_with("it left 0 files in place of one"));
}

#[test]
fn a_client_that_receives_nothing_is_stopped_with_all_it_started() {
    let workshop = Workshop::new();
    workshop.client("pip", "sleep 60 & echo $! > $root/pid; wait");
    let clients = workshop.clients().with_patience(Duration::from_millis(500));
    let error = ensure_with(&workshop, &clients).0.unwrap_err().to_string();
    assert!(error.contains("received nothing of sample 1.0"), "{error}");
    let pid = fs::read_to_string(workshop.path("pid")).unwrap();
    wait_until("the client's child lives on", || !is_alive(pid.trim()));
}

#[test]
fn too_little_room_is_said_before_anything_is_downloaded() {
    let mut workshop = Workshop::new();
    workshop.good_pip();
    workshop.entry.archive.bytes = 1 << 60;
    let error = refusal(&workshop);
    assert!(
        error.starts_with("not enough disk space in ") && error.contains(" MB free"),
        "{error}"
    );
    assert!(workshop.calls().is_empty());
}

#[test]
fn a_directory_that_cannot_be_written_is_refused_unless_its_content_is_right() {
    let workshop = Workshop::new();
    workshop.good_pip();
    let lock = workshop.interpreters().join(".lock");
    let read_only = Path::new("/sys/kernel/uevent_seqnum"); // read-only for root, too
    fs::create_dir(workshop.interpreters()).unwrap();
    std::os::unix::fs::symlink(read_only, &lock).unwrap();
    let error = refusal(&workshop);
    assert!(error.starts_with("cannot write to "), "{error}");

    fs::remove_file(&lock).unwrap();
    ensure(&workshop).0.unwrap();
    fs::remove_file(&lock).unwrap();
    std::os::unix::fs::symlink(read_only, &lock).unwrap();
    set_modified(&workshop.home().join("module.wasm"), 1_000);
    assert!(ensure(&workshop).0.is_ok());
    fs::write(workshop.home().join("module.wasm"), b"x").unwrap();
    assert!(refusal(&workshop).starts_with("cannot write to "));
}

#[test]
fn a_verified_archive_is_not_downloaded_again() {
    let workshop = Workshop::new();
    fs::create_dir_all(workshop.home()).unwrap();
    fs::copy(workshop.path("package"), workshop.home().join(".archive")).unwrap();
    let (outcome, steps) = ensure_with(&workshop, &Clients::new([]));
    assert!(outcome.is_ok());
    assert!(!steps.contains(&Step::Download), "{steps:?}");
    expect_only_finished(&workshop);
}

#[test]
fn two_setups_at_once_download_once_and_the_second_says_that_it_waits() {
    let workshop = Workshop::new();
    workshop.client(
        "pip",
        "touch $root/started; while [ ! -e $root/go ]; do sleep 0.02; done; cp $package $dest/x.whl",
    );
    std::thread::scope(|scope| {
        let first = scope.spawn(|| ensure(&workshop).0.is_ok());
        wait_until("the first never started", || {
            workshop.path("started").exists()
        });
        let second = scope.spawn(|| {
            let mut hear = |report: &crate::interpreters::Report<'_>| {
                if report.step == Step::Wait {
                    fs::write(workshop.path("go"), report.to_string()).unwrap();
                }
            };
            let dir = workshop.interpreters();
            Artifacts::ensure(&workshop.entry, &dir, &workshop.clients(), &mut hear).is_ok()
        });
        assert!(first.join().unwrap() && second.join().unwrap());
    });
    assert_eq!(workshop.calls().len(), 1);
    let said = fs::read_to_string(workshop.path("go")).unwrap();
    assert!(
        said.starts_with("sample: wait for another setup that works in "),
        "{said}"
    );
    expect_only_finished(&workshop);
}

/// The test runs itself as another process, which is killed while its client downloads.
#[test]
fn a_fetch_killed_in_the_middle_takes_its_client_along_and_is_resumed() {
    const KILLED_IN: &str = "WEIR_TEST_KILLED_IN";
    let workshop = Workshop::new();
    if let Some(root) = std::env::var_os(KILLED_IN).map(PathBuf::from) {
        let clients = Clients::new([(OsString::from("PATH"), root.join("bin").into())]);
        let dir = root.join("interpreters");
        let outcome = Artifacts::ensure(&workshop.entry, &dir, &clients, &mut |_| ());
        panic!("the client never ends: {outcome:?}");
    }
    workshop.client(
        "pip",
        "head -c 100 $package > $dest/half.whl; echo $$ > $root/pid.new; mv $root/pid.new $root/pid; exec sleep 60",
    );
    let name = "interpreters::artifacts::tests::a_fetch_killed_in_the_middle_takes_its_client_along_and_is_resumed";
    let mut other = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact"])
        .env(KILLED_IN, workshop.path(""))
        .env("TMPDIR", workshop.path(""))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    wait_until("the client never started", || workshop.path("pid").exists());
    other.kill().unwrap();
    other.wait().unwrap();
    let pid = fs::read_to_string(workshop.path("pid")).unwrap();
    wait_until("the client outlives its parent", || !is_alive(pid.trim()));
    let left = workshop.names(&workshop.interpreters());
    assert!(
        left.iter().any(|name| name.starts_with(".partial-")),
        "{left:?}"
    );
    assert!(Artifacts::present(&workshop.entry, &workshop.interpreters()).is_none());

    workshop.good_pip();
    assert!(ensure(&workshop).0.is_ok());
    expect_only_finished(&workshop);
}

/// Downloads about 100 MB when run for the first time, into `WEIR_TEST_CACHE` or the user's cache.
#[test]
fn the_built_in_python_is_fetched_by_the_real_client() {
    let cache = std::env::var_os("WEIR_TEST_CACHE")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            let home = std::env::var_os("HOME").expect("a cache needs WEIR_TEST_CACHE or HOME");
            PathBuf::from(home).join(".cache/weir")
        });
    let dir = cache.join("interpreters");
    let catalogue = Catalogue::builtin();
    let python = catalogue.find("python").unwrap();
    let clients = Clients::new(std::env::vars_os());
    let mut hear = |report: &crate::interpreters::Report<'_>| println!("{report}");
    let artifacts = Artifacts::ensure(python, &dir, &clients, &mut hear).unwrap();

    let module = File::open(artifacts.module()).unwrap();
    assert!(
        BufReader::new(module)
            .fill_buf()
            .unwrap()
            .starts_with(b"\0asm")
    );
    let numpy = ("numpy".to_owned(), "2.5.2".to_owned());
    assert!(artifacts.packages().contains(&numpy));
    let pack = Pack::open(&artifacts.path("mpl-data.pack").unwrap()).unwrap();
    assert_eq!(pack.regions().len(), 204);
    let style = pack.read(pack.region("matplotlibrc").unwrap()).unwrap();
    assert!(style.starts_with(b"#"));

    let began = Instant::now();
    assert!(Artifacts::present(python, &dir).is_some());
    println!("a later start took {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_millis(100));
}
