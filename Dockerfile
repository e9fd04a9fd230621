# One image for everything of ours: the service, its relay and worker, the watch, the router of
# alerts, the explorer, the stand-ins and the load. docker-compose.yml says which command each runs.
# Every version is that of requirements.lock.

FROM python:3.13.14-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /build

# The lock alone first: these packages are installed anew only when it changes.
RUN python -m venv /opt/why504 && pip install hatchling==1.33.0
COPY pyproject.toml requirements.lock ./
RUN python - <<'NAMES' > wanted.txt
import tomllib
project = tomllib.load(open("pyproject.toml", "rb"))["project"]
extras = project["optional-dependencies"]
print(*project["dependencies"], *extras["service"], *extras["explorer"], *extras["cluster"], sep="\n")
NAMES
# Wheels only: there is no compiler here, and nothing is built that nobody looked at.
RUN /opt/why504/bin/pip install --only-binary :all: -c requirements.lock -r wanted.txt

COPY . .
RUN pip wheel --no-deps --no-build-isolation --wheel-dir dist . \
 && /opt/why504/bin/pip install --no-deps dist/why504-*.whl \
 && /opt/why504/bin/pip check

FROM python:3.13.14-slim
RUN groupadd --gid 10504 why504 \
 && useradd --uid 10504 --gid 10504 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin why504 \
 && install -d -o 10504 -g 10504 /var/lib/why504
COPY --from=build /opt/why504 /opt/why504
# `service`, `lab` and `dashboards` are carried by the wheel. Nothing is written but below /tmp and
# /var/lib/why504: the root of the container may be read-only.
ENV PATH=/opt/why504/bin:$PATH \
    PYTHONPATH=/opt/why504/lib/python3.13/site-packages/why504/_stack \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 \
    HOME=/tmp
WORKDIR /var/lib/why504
USER 10504:10504
CMD ["why504", "--help"]
