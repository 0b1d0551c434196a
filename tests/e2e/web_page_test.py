#!/usr/bin/env python3
"""The page for people in a real browser, against a real server on a 2 x 2 mesh.

Usage: web_page_test.py LONGSHIP MODEL [--shots FOLDER]
Ends with 77 where there is no Chromium (scripts/setup --web installs it).
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from browser import CONTROL, SHIFT, Browser, find_chromium


class Server:
    """longship serve on a free port, ready."""

    def __init__(self, *more):
        self.log = tempfile.TemporaryFile('w+')
        words = [LONGSHIP, 'serve', MODEL, '--port', '0', '--kv-cache-memory', '64MiB', '-c', '16384', *more]
        self.process = subprocess.Popen(words, stderr=self.log, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while True:
            self.log.seek(0)
            ready = re.search(r'^Ready: (http://[^/]+)/v1', self.log.read(), re.MULTILINE)
            if ready:
                self.url = ready[1] + '/'
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.seek(0)
                raise RuntimeError('no server: ' + self.log.read())
            time.sleep(0.05)

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(40)
        finally:
            self.process.kill()
            self.log.close()


def element(selector):
    return f'document.querySelector({selector!r})'


def button(text, inside='main'):
    """The last button with that text or label."""
    return (f'[...document.querySelectorAll("{inside} button")].filter((b) => b.checkVisibility()'
            f' && (b.textContent === {text!r} || b.ariaLabel === {text!r})).at(-1)')


ANSWER = '[...document.querySelectorAll(".assistant .markdown")].at(-1).innerText'
IDLE = 'document.getElementById("send").textContent === "Send"'
BUSY = 'document.getElementById("send").textContent === "Stop"'

# Every text's contrast with what lies behind it (WCAG 2.2, 1.4.3), where it is below 4.5.
LOW_CONTRAST = '''(() => {
  const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return [255, 255, 255, 255];
  };
  const bad = [];
  for (const e of document.querySelectorAll('body *')) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim() !== '');
    if (!own || !e.checkVisibility({opacityProperty: true, visibilityProperty: true}) || e.closest(':disabled')) continue;
    const a = luminance(rgba(getComputedStyle(e).color)), b = luminance(behind(e));
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) bad.push(`${e.tagName}.${e.className} "${e.textContent.trim().slice(0, 30)}" ${contrast.toFixed(2)}`);
  }
  return bad;
})()'''

# What reaches beyond the width of the window and is not inside something that scrolls or hides.
TOO_WIDE = '''(() => {
  const wide = document.documentElement.scrollWidth > innerWidth ? ['the page'] : [];
  for (const e of document.querySelectorAll('body *')) {
    const box = e.getBoundingClientRect();
    if (box.width === 0 || box.right <= innerWidth + 0.5 || !e.checkVisibility({visibilityProperty: true})) continue;
    let scroller = e.parentElement;
    while (scroller && getComputedStyle(scroller).overflowX === 'visible') scroller = scroller.parentElement;
    if (!scroller || scroller === document.body || scroller === document.documentElement) wide.push(e.outerHTML.slice(0, 80));
  }
  return wide;
})()'''

MARKDOWN = [
    ('plain <b>bold</b> & <script>alert(1)</script>',
     '<p>plain &lt;b&gt;bold&lt;/b&gt; &amp; &lt;script&gt;alert(1)&lt;/script&gt;</p>'),
    ('a **b** *c* ***d*** ~~e~~ `f*g*`',
     '<p>a <strong>b</strong> <em>c</em> <em><strong>d</strong></em> <del>e</del> <code>f*g*</code></p>'),
    ('2 * 3 * 4, snake_case_name, **open', '<p>2 * 3 * 4, snake_case_name, **open</p>'),
    ('[x](javascript:alert(1)) [y](data:text/html,z)',
     '<p>[x](javascript:alert(1)) [y](data:text/html,z)</p>'),
    ('[x](https://a.example/b_c) <https://d.example> https://e.example/f.',
     '<p><a href="https://a.example/b_c" target="_blank" rel="noopener noreferrer nofollow">x</a> '
     '<a href="https://d.example/" target="_blank" rel="noopener noreferrer nofollow">https://d.example</a> '
     '<a href="https://e.example/f" target="_blank" rel="noopener noreferrer nofollow">https://e.example/f</a>.</p>'),
    ('![alt](https://a.example/i.png)',
     '<p><a href="https://a.example/i.png" target="_blank" rel="noopener noreferrer nofollow">alt</a></p>'),
    ('# One\n## Two\ntext\nmore\n\n---', '<h3>One</h3><h4>Two</h4><p>text\nmore</p><hr>'),
    ('- a\n- b\n  1. c\n  2. d\n- e', '<ul><li>a</li><li>b<ol><li>c</li><li>d</li></ol></li><li>e</li></ul>'),
    ('3. a\n4. b', '<ol start="3"><li>a</li><li>b</li></ol>'),
    ('> a\n> - b', '<blockquote><p>a</p><ul><li>b</li></ul></blockquote>'),
    ('|a|b|\n|-|:-:|\n|1|`x\\|y`|',
     '<div class="table" tabindex="0" role="region" aria-label="Table"><table><thead><tr><th>a</th>'
     '<th class="center">b</th></tr></thead><tbody><tr><td>1</td><td class="center"><code>x|y</code></td></tr>'
     '</tbody></table></div>'),
]


class WebPage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server('-tp', '2', '-pp', '2')
        cls.browser = Browser(find_chromium())

    @classmethod
    def tearDownClass(cls):
        cls.browser.close()
        cls.server.close()

    def setUp(self):
        self.open()

    def tearDown(self):
        self.assertEqual(self.browser.take_errors(), [])

    def open(self, view='', **window):
        self.browser.go('about:blank')
        self.browser.go(self.server.url, **window)
        self.browser.evaluate('localStorage.clear()')
        self.browser.go('about:blank')
        self.browser.go(self.server.url + view, **window)
        self.browser.wait_for('document.getElementById("state-text").textContent === "ready"')

    def set_sampling(self, **values):
        for name, value in values.items():
            self.browser.evaluate(f'(() => {{ const e = document.getElementById({name!r}); e.value = {str(value)!r};'
                                  ' e.dispatchEvent(new Event("input", {bubbles: true})); })()')

    def ask(self, text):
        self.browser.click(element('#message'))
        self.browser.type(text)
        self.browser.press('Enter')

    def ask_and_wait(self, text):
        self.ask(text)
        self.browser.wait_for(IDLE)

    def test_streams_an_answer_that_escape_stops(self):
        browser = self.browser
        self.set_sampling(temperature=1, seed=3)
        self.ask('Tell me of ships')
        browser.wait_for(BUSY)
        first = browser.wait_for(ANSWER + '.length')
        browser.wait_for(f'{ANSWER}.length > {first}')
        self.assertTrue(browser.evaluate(BUSY), 'the answer grows while it streams')
        browser.press('Escape')
        browser.wait_for(IDLE)
        facts = browser.evaluate(element('.assistant .facts') + '.textContent')
        self.assertRegex(facts, r'^\d[\d,]* tokens? · .*tokens/s · first after .* · stopped$')
        stopped = browser.evaluate(ANSWER)
        time.sleep(0.3)
        self.assertEqual(browser.evaluate(ANSWER), stopped)
        browser.wait_for('fetch("/cluster").then((r) => r.json()).then((c) => c.running === 0)')

    def test_keeps_what_has_come_when_the_page_is_left(self):
        browser = self.browser
        self.set_sampling(temperature=1, seed=3)
        self.ask('Tell me of ships')
        begin = browser.wait_for(ANSWER)
        browser.go('about:blank')
        browser.go(self.server.url)
        browser.wait_for('fetch("/cluster").then((r) => r.json()).then((c) => c.running === 0)')
        self.assertTrue(browser.wait_for(ANSWER).startswith(begin.rstrip('\ufffd')))
        self.assertIn('stopped', browser.evaluate(element('.assistant .meta') + '.textContent'))

    def test_regenerates_edits_and_keeps_branches(self):
        browser = self.browser
        self.set_sampling(temperature=1, max_tokens=8)
        self.ask_and_wait('One')
        first = browser.evaluate(ANSWER)
        self.assertIn('prompt', browser.evaluate(element('.assistant .facts') + '.textContent'))
        browser.click(button('Regenerate'))
        browser.wait_for(IDLE)
        self.assertIn('2 of 2', browser.evaluate('document.querySelector(".assistant .meta").innerText'))
        browser.click(button('Branch before'))
        browser.wait_for(f'document.querySelector(".assistant .meta").innerText.includes("1 of 2")')
        self.assertEqual(browser.evaluate(ANSWER), first)

        browser.click(button('Edit'))
        browser.evaluate('document.activeElement.select()')
        browser.type('Two')
        browser.press('Enter', CONTROL)
        browser.wait_for(IDLE + ' && document.querySelector(".user .meta")?.innerText.includes("2 of 2")')
        self.assertEqual(browser.evaluate(element('.user .text') + '.textContent'), 'Two')
        second = browser.evaluate(ANSWER)

        browser.go('about:blank')
        browser.go(self.server.url)
        browser.wait_for('document.querySelector(".user .text")?.textContent === "Two"')
        self.assertEqual(browser.evaluate(ANSWER), second, 'conversations outlive the page')
        browser.click(button('Branch before'))
        browser.wait_for('document.querySelector(".user .text")?.textContent === "One"')
        self.assertEqual(browser.evaluate(ANSWER), first)

    def test_asks_with_the_system_prompt_and_the_sampling_that_is_set(self):
        browser = self.browser
        browser.evaluate('''(() => {
          const own = window.fetch;
          window.fetch = (path, options) => {
            if (path.includes('completions')) window.asked = JSON.parse(options.body);
            return own(path, options);
          };
        })()''')
        browser.click(button('Settings'))
        browser.type('Be brief.')
        self.set_sampling(temperature=0.5, top_p=0.9, top_k=40, min_p=0.05, max_tokens=3, seed=11, presence_penalty=0.5,
                          frequency_penalty=-0.5, repetition_penalty=1.1, stop='END\nFIN')
        self.ask_and_wait('Go')
        asked = browser.evaluate('window.asked')
        self.assertEqual(asked.pop('messages'), [{'role': 'system', 'content': 'Be brief.'},
                                                 {'role': 'user', 'content': 'Go'}])
        self.assertEqual(asked, {'temperature': 0.5, 'top_p': 0.9, 'top_k': 40, 'min_p': 0.05, 'max_tokens': 3, 'seed': 11,
                                 'presence_penalty': 0.5, 'frequency_penalty': -0.5, 'repetition_penalty': 1.1,
                                 'stop': ['END', 'FIN'], 'stream': True, 'stream_options': {'include_usage': True}})

    def test_shows_what_failed_and_tries_again(self):
        browser = self.browser
        self.set_sampling(max_tokens=4)
        self.ask('ship ' * 40000)
        browser.wait_for('document.querySelector(".failure")?.innerText.includes("tokens")')
        browser.errors = [e for e in browser.errors if '400' not in e]  # the browser's own line
        browser.evaluate('''(() => {
          const own = window.fetch;
          window.fetch = (path, options) => path.includes('completions')
            ? own(path, {...options, body: JSON.stringify({...JSON.parse(options.body), messages: [{role: 'user', content: 'a'}]})})
            : own(path, options);
        })()''')
        browser.click(button('Retry'))
        browser.wait_for(IDLE + ' && document.querySelector(".failure") === null')
        self.assertEqual(browser.evaluate('document.querySelectorAll(".assistant").length'), 1)
        browser.errors = [e for e in browser.errors if '400' not in e]

    def test_shows_reasoning_calls_pauses_and_errors_of_a_stream(self):
        browser = self.browser
        browser.evaluate('''(() => {
          const own = window.fetch;
          const stream = () => new ReadableStream({start: (sink) => {
            window.give = (delta) => window.giveRaw({choices: [{index: 0, delta, finish_reason: null}]});
            window.giveRaw = (event) => sink.enqueue(new TextEncoder().encode(`data: ${JSON.stringify(event)}\\n\\n`));
          }});
          window.fetch = async (path, options) => {
            if (path.includes('completions')) return new Response(stream());
            const cluster = await (await own(path, options)).json();
            return Response.json({...cluster, state: 'recovering', last_loss: 'rank 1 was ended by signal 9'});
          };
        })()''')
        self.ask('Think')
        browser.wait_for('window.give !== undefined')
        browser.evaluate('give({role: "assistant", content: ""}); give({reasoning_content: "First **this**."})')
        browser.wait_for('document.querySelector(".fold")?.open && document.querySelector(".fold strong")?.innerText === "this"')
        browser.evaluate('give({content: "Then that"})')
        browser.wait_for('!document.querySelector(".fold").open && ' + ANSWER + ' === "Then that"')
        browser.wait_for('document.querySelector(".pause")?.innerText.includes("started again")')
        browser.evaluate('''give({tool_calls: [{index: 0, id: "a", type: "function", function: {name: "sail", arguments: '{"to":'}}]});
                            give({tool_calls: [{index: 0, function: {arguments: '"sea"}'}}]})''')
        browser.wait_for('document.querySelector(".call")?.innerText.replace(/\\s/g, "") === \'Tool:sail{"to":"sea"}\'')
        self.assertIsNone(browser.evaluate(element('.pause') + '?.innerText'))
        browser.evaluate('giveRaw({error: {message: "the engine was lost", code: 500}})')
        browser.wait_for('document.querySelector(".failure")?.innerText.includes("the engine was lost")')
        self.assertEqual(browser.evaluate(ANSWER), 'Then that', 'what had come is kept')
        browser.click(element('#to-cluster'))
        browser.wait_for('document.querySelector(".cluster-note").innerText.includes("rank 1 was ended by signal 9")')
        browser.wait_for('document.getElementById("state").dataset.state === "recovering"')

    def test_keeps_several_conversations(self):
        browser = self.browser
        self.set_sampling(max_tokens=4)
        self.ask_and_wait('First of all')
        browser.click(element('#new-chat'))
        browser.wait_for('document.querySelector(".empty") !== null')
        self.ask_and_wait('Second')
        titles = '[...document.querySelectorAll("#chats .pick")].map((b) => b.textContent)'
        self.assertEqual(browser.evaluate(titles), ['Second', 'First of all'])
        browser.click('document.querySelectorAll("#chats .pick")[1]')
        browser.wait_for('document.querySelector(".user .text")?.textContent === "First of all"')
        browser.click('document.querySelectorAll("#chats .drop")[0]')
        browser.click('document.querySelectorAll("#chats .drop")[0]')
        browser.wait_for(titles + '.length === 1')

    def test_shows_what_every_rank_does(self):
        browser = self.browser
        self.set_sampling(temperature=1)
        self.ask('Go on')
        browser.wait_for(BUSY)
        browser.click(element('#to-cluster'))
        browser.wait_for('document.querySelectorAll(".rank").length === 4')
        browser.wait_for('[...document.querySelectorAll(".rank")].every((r) => /ms a step/.test(r.innerText)'
                         ' && /%.*%.*%/.test(r.innerText) && /busy/.test(r.innerText))')
        browser.wait_for('Number(document.querySelector(".figure .value").textContent.replace(",", "")) > 0')
        rows = browser.evaluate('[...document.querySelectorAll(".rank-table tbody tr")].map((r) => r.cells[0].innerText)')
        self.assertEqual(rows, ['0', '1', '2', '3'])
        stages = browser.evaluate('[...document.querySelectorAll(".stage")].map((s) => s.innerText.split("\\n"))')
        self.assertEqual([s[0] for s in stages], ['Stage 0', 'Stage 1'])
        self.assertIn('embedding', stages[0])
        self.assertIn('head', stages[1])
        first = browser.evaluate(element('.spark .line') + '.getAttribute("d")')
        browser.wait_for(f'{element(".spark .line")}.getAttribute("d") !== {first!r}', 5)
        browser.click(element('#to-chat'))
        browser.wait_for('!document.getElementById("chat").hidden')
        browser.press('Escape')
        browser.wait_for(IDLE)

    def test_is_used_by_keys_alone(self):
        browser = self.browser
        browser.evaluate('document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex")')
        seen = []
        for _ in range(10):
            browser.press('Tab')
            seen.append(browser.evaluate('document.activeElement.id || document.activeElement.className || document.activeElement.textContent'))
            visible = browser.evaluate('''(() => {
              const e = document.activeElement, style = getComputedStyle(e);
              return e.closest('.composer') !== null || (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2);
            })()''')
            self.assertTrue(visible, f'{seen[-1]} shows that it has the focus')
        self.assertEqual(seen, ['skip', 'to-chat', 'to-cluster', 'theme', 'new-chat', 'title', 'open-settings', 'scroll',
                                'Cluster', 'message'])
        browser.press('Tab', SHIFT)
        browser.press('Slash')
        self.assertEqual(browser.evaluate('document.activeElement.id'), 'message')
        browser.type('two')
        browser.press('Enter', SHIFT)
        browser.type('lines')
        self.assertEqual(browser.evaluate('document.activeElement.value'), 'two\nlines')
        browser.click(button('Settings'))
        self.assertEqual(browser.evaluate('document.activeElement.id'), 'system')
        browser.press('Escape')
        self.assertEqual(browser.evaluate('document.activeElement.id'), 'open-settings')

    def test_changes_its_colours(self):
        browser = self.browser
        paper = 'getComputedStyle(document.body).backgroundColor'
        light = browser.evaluate(paper)
        browser.colours(dark=True)
        dark = browser.evaluate(paper)
        self.assertNotEqual(light, dark)
        browser.click(element('#theme'))
        self.assertEqual(browser.evaluate(paper), light, 'a choice holds against the system')
        browser.go('about:blank')
        browser.go(self.server.url, dark=True)
        self.assertEqual(browser.evaluate(paper), light, 'and outlives the page')

    def test_can_be_read_at_any_width_in_both_colours(self):
        browser = self.browser
        for width, height in ((1280, 800), (360, 740)):
            for dark in (False, True):
                self.open(width=width, height=height, dark=dark)
                self.set_sampling(temperature=1, max_tokens=60)
                self.ask_and_wait('a' * 300)
                browser.evaluate('''import('/web/markdown.js').then(({MarkdownView}) => {
                  const all = ['# Head', '`' + 'c'.repeat(200) + '`', '```\\n' + 'd'.repeat(200) + '\\n```',
                               '|' + 'e|'.repeat(40) + '\\n|' + '-|'.repeat(40), '> quote [x](https://a.example)'];
                  new MarkdownView(document.querySelector('.assistant .markdown')).update(all.join('\\n\\n'));
                })''')
                where = f'{width} px, {"dark" if dark else "light"}'
                for view in ('chat', 'cluster', 'settings'):
                    if view == 'settings':
                        browser.evaluate('location.hash = "#chat"')
                        browser.click(button('Settings'))
                    else:
                        browser.evaluate(f'location.hash = "#{view}"')
                    if view == 'cluster':
                        browser.wait_for('document.querySelectorAll(".rank").length === 4')
                    self.assertEqual(browser.evaluate(TOO_WIDE), [], f'{view} at {where}')
                    self.assertEqual(browser.evaluate(LOW_CONTRAST), [], f'{view} at {where}')
                    if SHOTS:
                        browser.screenshot(f'{SHOTS}/{view}-{width}-{"dark" if dark else "light"}.png')

    def test_makes_no_html_of_what_a_model_says(self):
        for source, expected in MARKDOWN:
            made = self.browser.evaluate(f'''import('/web/markdown.js').then(({{MarkdownView}}) => {{
              const whole = document.createElement('div');
              new MarkdownView(whole).update({source!r});
              const grown = document.createElement('div'), view = new MarkdownView(grown);
              for (let i = 1; i <= {source!r}.length; ++i) view.update({source!r}.slice(0, i));
              return [whole.innerHTML, grown.innerHTML];
            }})''')
            self.assertEqual(made, [expected, expected], source)

    def test_is_quick_with_hostile_text(self):
        for source in ("'*'.repeat(20000)", "'[('.repeat(10000)", "'> '.repeat(10000)", "'`a'.repeat(10000)",
                       "'- '.repeat(5000)", "'a**b '.repeat(5000)", "'|-'.repeat(10000) + '\\n' + '|-'.repeat(10000)"):
            seconds = self.browser.evaluate(f'''import('/web/markdown.js').then(({{MarkdownView}}) => {{
              const begin = performance.now();
              new MarkdownView(document.createElement('div')).update({source});
              return (performance.now() - begin) / 1000;
            }})''')
            self.assertLess(seconds, 2, source)

    def test_is_shown_to_those_who_have_the_key_and_asks_for_one_that_is_new(self):
        browser = self.browser
        with tempfile.TemporaryDirectory() as folder:
            keys = os.path.join(folder, 'keys')

            def write(key):
                with open(os.open(keys, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as file:
                    file.write(key + '\n')

            write('secret')
            server = Server('--api-key-file', keys)
            try:
                browser.go(server.url)
                self.assertEqual(browser.evaluate('document.getElementById("send")'), None)
                browser.go(server.url.replace('://', '://anyone:secret@'))
                browser.wait_for('document.getElementById("state-text").textContent === "ready"')
                self.set_sampling(max_tokens=4)
                self.ask_and_wait('Hello')
                self.assertEqual(browser.evaluate('document.querySelectorAll(".failure").length'), 0)
                write('new')
                server.process.send_signal(signal.SIGHUP)
                browser.wait_for('document.getElementById("key-dialog").open')
                browser.type('wrong')
                browser.press('Enter')
                browser.wait_for('document.getElementById("key-error").textContent.includes("refused")')
                browser.type('new')
                browser.press('Enter')
                browser.wait_for('document.getElementById("state-text").textContent === "ready"')
                self.ask_and_wait('Hello')
                self.assertNotIn('new', browser.evaluate('JSON.stringify(localStorage)').split('"'))
                browser.errors = [e for e in browser.take_errors() if '401' not in e]  # the browser's own lines
            finally:
                browser.go('about:blank')
                server.close()


if __name__ == '__main__':
    if find_chromium() is None:
        print('skipped: there is no Chromium; scripts/setup --web installs it')
        sys.exit(77)
    LONGSHIP, MODEL = sys.argv[1:3]
    SHOTS = sys.argv[4] if sys.argv[3:4] == ['--shots'] else None
    if SHOTS:
        os.makedirs(SHOTS, exist_ok=True)
        del sys.argv[3:5]
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]], verbosity=2)
