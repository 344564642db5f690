"""The package's face: what `import ostinato` promises, what it costs, and that it knows no torch where it says so."""

import subprocess
import sys

import ostinato


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


def test_every_promised_name_imports():
    assert sorted(ostinato.__all__) == sorted([*ostinato._HOME, "__version__"])
    for name in ostinato.__all__:
        assert getattr(ostinato, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    assert "no attribute 'LTSM'" in run("import ostinato; ostinato.LTSM").stderr


def test_importing_brings_no_torch():
    code = "import sys, ostinato; assert not {'torch', 'numpy', 'pandas'} & set(sys.modules)"
    found = run(code)
    assert found.returncode == 0, found.stderr


def test_the_runtime_is_there_without_an_import_of_its_own():
    found = run("import sys, ostinato as ost; assert callable(ost.runtime.load) and 'torch' not in sys.modules")
    assert found.returncode == 0, found.stderr


def test_the_floors_without_torch_run_where_it_is_hidden():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import ostinato, ostinato.spec, ostinato.format, ostinato.runtime, ostinato._kernels\n"
        "try: ostinato.LSTM\n"
        "except ImportError: print('told')"
    )
    found = run(code)
    assert found.stdout.strip() == "told", found.stderr
