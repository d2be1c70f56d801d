"""age -d with a passphrase, which age takes from a terminal only: age-passphrase.py FILE INTO; the passphrase in $PASSPHRASE."""
import os, pty, sys

pid, terminal = pty.fork()
if pid == 0:
    os.execvp('age', ['age', '-d', '-o', sys.argv[2], sys.argv[1]])
said = b''
try:
    while b'passphrase' not in said:
        said += os.read(terminal, 1024)
    os.write(terminal, os.environ['PASSPHRASE'].encode() + b'\n')
    while chunk := os.read(terminal, 1024):
        said += chunk
except OSError:
    pass  # the other end is closed: age has ended
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
if code != 0:
    sys.stderr.write(said.decode())
sys.exit(code)
