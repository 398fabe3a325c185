"""The service under load, in a process of its own."""

from benchmarks.gpu_parts.report import Report, Setup

CLIENTS = (1, 16, 64)


def measure(setup: Setup) -> Report:
    """`equipot serve` on the device, asked by some clients, one molecule a request."""
    from app.bench.samples import molecules
    from app.bench.service import bodies, served
    from app.settings import Settings
    from app.store.store import ModelStore

    report = Report(("clients", "requests/s", "p50 ms", "p90 ms", "p99 ms", "CPU ms each"))
    model = setup.options.model
    settings = Settings(
        device=setup.device, threads=setup.options.threads, model_store=setup.options.store
    )
    sample = bodies(molecules(ModelStore(setup.options.store).load(model).card))
    with served(settings, model) as server:
        report.notes.append(f"{model}, aspirins; ready after {server.ready_after:.2f} s")
        for clients in (2,) if setup.quick else CLIENTS:
            found = server.speed(sample, clients, 0.3 if setup.quick else 8.0)
            report.rows.append(
                (found.clients, found.rate, found.p50, found.p90, found.p99, found.cpu_ms)
            )
    return report
