;; A guest small enough to be read whole. A turn's code is one letter; see `turn`.
(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read"
    (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open"
    (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit (param i32)))
  (memory (export "memory") 2)
  (global $sp (mut i32) (i32.const 4096))
  (data (i32.const 8192) "0\n")                 ;; the state: a digit that `c` counts up
  (data (i32.const 8200) "/etc/passwd")

  ;; Where the host writes a turn's code.
  (func (export "code_at") (result i32) (i32.const 16384))

  (func $write (param $at i32) (param $length i32)
    (i32.store (i32.const 5000) (local.get $at))
    (i32.store (i32.const 5004) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 5000) (i32.const 1) (i32.const 5008))))

  (func $deep (param $n i32) (result i32)
    (i32.add (call $deep (i32.add (local.get $n) (i32.const 1))) (local.get $n)))

  (func $is (param $code i32) (param $letter i32) (result i32)
    (i32.eq (i32.load8_u (local.get $code)) (local.get $letter)))

  (func (export "turn") (param $code i32) (param $length i32) (result i32)
    ;; c: count up and show the digit
    (if (call $is (local.get $code) (i32.const 99))
      (then
        (i32.store8 (i32.const 8192) (i32.add (i32.load8_u (i32.const 8192)) (i32.const 1)))
        (call $write (i32.const 8192) (i32.const 2))))
    ;; l: count up, then loop for ever and never listen
    (if (call $is (local.get $code) (i32.const 108))
      (then
        (i32.store8 (i32.const 8192) (i32.const 57))
        (loop $ever (br $ever))))
    ;; t: count up, then trap
    (if (call $is (local.get $code) (i32.const 116))
      (then (i32.store8 (i32.const 8192) (i32.const 57)) (unreachable)))
    ;; d: recurse without end
    (if (call $is (local.get $code) (i32.const 100))
      (then (drop (call $deep (i32.const 0)))))
    ;; g: grow by a page until that is refused, then trap
    (if (call $is (local.get $code) (i32.const 103))
      (then
        (loop $more
          (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (unreachable)))
    ;; w: write without end
    (if (call $is (local.get $code) (i32.const 119))
      (then (loop $ever (call $write (i32.const 8192) (i32.const 2)) (br $ever))))
    ;; o: write beyond the end of memory; returns the error number
    (if (call $is (local.get $code) (i32.const 111))
      (then
        (i32.store (i32.const 5000) (i32.const 0x7ffffff0))
        (i32.store (i32.const 5004) (i32.const 64))
        (return (call $fd_write (i32.const 1) (i32.const 5000) (i32.const 1) (i32.const 5008)))))
    ;; p: open /etc/passwd; returns the error number
    (if (call $is (local.get $code) (i32.const 112))
      (then
        (return (call $path_open (i32.const 3) (i32.const 0) (i32.const 8200) (i32.const 11)
          (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 5008)))))
    ;; r: read input and write it back
    (if (call $is (local.get $code) (i32.const 114))
      (then
        (i32.store (i32.const 5000) (i32.const 9000))
        (i32.store (i32.const 5004) (i32.const 100))
        (drop (call $fd_read (i32.const 0) (i32.const 5000) (i32.const 1) (i32.const 5008)))
        (call $write (i32.const 9000) (i32.load (i32.const 5008)))))
    ;; x: exit the whole guest with 7
    (if (call $is (local.get $code) (i32.const 120))
      (then (call $proc_exit (i32.const 7))))
    ;; s: leave the stack pointer where it must not be
    (if (call $is (local.get $code) (i32.const 115))
      (then (global.set $sp (i32.const 100))))
    (i32.const 0)))
