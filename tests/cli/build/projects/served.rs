//! Servers: built, run with a published port, and asked.

use super::super::context;
use super::{answer, servers, wheel};
use crate::common::skip;
use std::fs;

/// Python: what pip installs from a directory of wheels, in a virtual environment that a second stage takes over.
#[test]
fn a_python_service_is_installed_from_wheels() {
    let Some(env) = servers() else { return skip("no Debian tree with servers") };
    let file = "FROM localhost/servers AS wheels\n\
        RUN python3 -m venv /venv\n\
        COPY requirements.txt .\n\
        RUN --mount=type=bind,source=wheels,target=/wheels --mount=type=cache,target=/root/.cache/pip \\\n    \
            /venv/bin/pip install --no-index --find-links=/wheels -r requirements.txt\n\
        FROM localhost/servers\n\
        COPY --from=wheels /venv /venv\n\
        ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1\n\
        RUN useradd --system --create-home app\n\
        USER app\n\
        WORKDIR /home/app\n\
        EXPOSE 8000\n\
        CMD [\"hello_service\"]\n";
    let module = "import http.server\n\
        import os\n\
        class Hello(http.server.BaseHTTPRequestHandler):\n    \
            def do_GET(self):\n        \
                self.send_response(200); self.end_headers()\n        \
                self.wfile.write(f'python {os.getcwd()} {os.getuid() != 0}'.encode())\n\
        def main():\n    \
            http.server.HTTPServer(('', 8000), Hello).serve_forever()\n";
    let dir = context(&env, "python", &[("Containerfile", file), ("requirements.txt", "hello_service\n")]);
    fs::create_dir(dir.join("wheels")).unwrap();
    wheel(&dir.join("wheels"), "hello_service", module);
    env.coracle(["build", "--network=none", "-t", "python"]).arg(&dir).ok();
    assert_eq!(answer(&env, "python"), "python /home/app True");
}

/// Node: scripts that make others, an init that reaps, and files of another owner.
#[test]
fn a_node_service_answers() {
    let Some(env) = servers() else { return skip("no Debian tree with servers") };
    let file = "ARG BASE=localhost/servers\n\
        FROM $BASE AS base\n\
        ENV NODE_ENV=production\n\
        FROM base AS bundle\n\
        WORKDIR /build\n\
        COPY package.json ./\n\
        COPY src/ src/\n\
        RUN <<-EOF\n\
        \tset -e\n\
        \tmkdir dist\n\
        \tnode src/bundle.js >dist/server.js\n\
        \tnode --check dist/server.js\n\
        EOF\n\
        FROM base\n\
        COPY --from=bundle --chown=www-data:www-data /build/dist /app\n\
        COPY <<EOF /app/motto.json\n\
        {\"motto\": \"made by $NODE_ENV\"}\n\
        EOF\n\
        USER www-data\n\
        EXPOSE 8000/tcp\n\
        HEALTHCHECK --interval=5s CMD [\"node\", \"-e\", \"0\"]\n\
        CMD [\"node\", \"/app/server.js\"]\n";
    let bundle = "const {name} = JSON.parse(require('fs').readFileSync('package.json'));\n\
        const server = 'require(\"http\").createServer((q, a) => a.end(NAME + \" \" + require(\"./motto.json\").motto)).listen(8000);';\n\
        console.log(server.replace('NAME', JSON.stringify(name)));\n";
    let dir = context(
        &env,
        "node",
        &[("Dockerfile", file), ("package.json", "{\"name\": \"shop\"}\n"), ("src/bundle.js", bundle)],
    );
    env.coracle(["build", "--network=none", "-t", "node"]).arg(&dir).ok();
    assert_eq!(answer(&env, "node"), "shop made by production");
    let owner = super::super::run(&env, "node", "stat -c '%U %a' /app/server.js");
    assert_eq!(owner, "www-data 644");
}

/// nginx as a site's own image has it: pages, a configuration, logs to the standard streams.
#[test]
fn nginx_serves_pages() {
    let Some(env) = servers() else { return skip("no Debian tree with servers") };
    let file = "FROM localhost/servers\n\
        RUN rm -f /etc/nginx/sites-enabled/default \\\n \
        && ln -sf /dev/stdout /var/log/nginx/access.log \\\n \
        && ln -sf /dev/stderr /var/log/nginx/error.log\n\
        COPY site.conf /etc/nginx/conf.d/\n\
        COPY --chmod=u=rwX,go=rX pages /srv/pages\n\
        RUN nginx -t\n\
        STOPSIGNAL SIGQUIT\n\
        EXPOSE 8000\n\
        CMD [\"nginx\", \"-g\", \"daemon off;\"]\n";
    let site = "server { listen 8000; root /srv/pages; }\n";
    let dir = context(
        &env,
        "nginx",
        &[
            ("Containerfile", file),
            ("site.conf", site),
            ("pages/index.html", "<h1>pages</h1>\n"),
            ("pages/notes.txt", ""),
        ],
    );
    env.coracle(["build", "--network=none", "-t", "nginx"]).arg(&dir).ok();
    assert_eq!(answer(&env, "nginx"), "<h1>pages</h1>\n");
}
