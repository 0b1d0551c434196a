"""Drives a headless Chromium through the DevTools protocol, over pipes, with the standard library alone."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

KEYS = {
    'Enter': {'key': 'Enter', 'code': 'Enter', 'windowsVirtualKeyCode': 13, 'text': '\r'},
    'Escape': {'key': 'Escape', 'code': 'Escape', 'windowsVirtualKeyCode': 27},
    'Tab': {'key': 'Tab', 'code': 'Tab', 'windowsVirtualKeyCode': 9},
    'Space': {'key': ' ', 'code': 'Space', 'windowsVirtualKeyCode': 32, 'text': ' '},
    'Slash': {'key': '/', 'code': 'Slash', 'windowsVirtualKeyCode': 191, 'text': '/'},
}
SHIFT, CONTROL = 8, 2


def find_chromium():
    return shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')


class Browser:
    """One page in a browser of its own. `errors` collects what consoles, exceptions and the content policy report."""

    def __init__(self, program):
        self.folder = tempfile.mkdtemp(prefix='longship-browser-')
        to_browser, self.commands = os.pipe()
        self.answers, from_browser = os.pipe()
        words = [program, '--headless=new', '--remote-debugging-pipe', '--no-sandbox', '--disable-gpu',
                 '--disable-dev-shm-usage', '--no-first-run', '--disable-background-networking',
                 '--hide-scrollbars', '--user-data-dir=' + self.folder, 'about:blank']
        redirect = f'exec "$@" 3<&{to_browser} 4>&{from_browser} >/dev/null 2>&1'
        self.process = subprocess.Popen(['bash', '-c', redirect, 'bash', *words], pass_fds=(to_browser, from_browser))
        os.close(to_browser)
        os.close(from_browser)
        self.received = b''
        self.last_id = 0
        self.session = None
        self.errors = []
        self.open_page()

    def open_page(self):
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and self.session is None:
            pages = [t for t in self.send('Target.getTargets')['targetInfos'] if t['type'] == 'page']
            if pages:
                attached = self.send('Target.attachToTarget', targetId=pages[0]['targetId'], flatten=True)
                self.session = attached['sessionId']
        for domain in ('Page', 'Runtime', 'Log', 'Network', 'Accessibility'):
            self.send(domain + '.enable')
        # A violation of the content policy is an event of the page before it is a line of the console.
        self.send('Page.addScriptToEvaluateOnNewDocument',
                  source='document.addEventListener("securitypolicyviolation",'
                         ' (e) => console.error("policy: " + e.violatedDirective + " " + e.blockedURI))')

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.commands)
        os.close(self.answers)
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, method, **parameters):
        """The result of a command; other messages that come meanwhile are noted."""
        self.last_id += 1
        message = {'id': self.last_id, 'method': method, 'params': parameters}
        if self.session is not None:
            message['sessionId'] = self.session
        data = json.dumps(message).encode() + b'\0'
        while data:
            data = data[os.write(self.commands, data):]
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = self.receive(deadline)
            if answer.get('id') == self.last_id:
                if 'error' in answer:
                    raise RuntimeError(f'{method}: {answer["error"]}')
                return answer['result']
            self.note(answer)
        raise TimeoutError(method)

    def receive(self, deadline):
        while b'\0' not in self.received:
            ready, _, _ = select.select([self.answers], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise TimeoutError('the browser is silent')
            data = os.read(self.answers, 1 << 20)
            if not data:
                raise RuntimeError('the browser has ended')
            self.received += data
        message, self.received = self.received.split(b'\0', 1)
        return json.loads(message)

    def note(self, event):
        parameters = event.get('params', {})
        if event.get('method') == 'Runtime.exceptionThrown':
            details = parameters['exceptionDetails']
            self.errors.append(details.get('exception', {}).get('description', details['text']))
        elif event.get('method') == 'Runtime.consoleAPICalled' and parameters['type'] in ('error', 'warning', 'assert'):
            self.errors.append(' '.join(str(a.get('value', a.get('description'))) for a in parameters['args']))
        elif event.get('method') == 'Log.entryAdded' and parameters['entry']['level'] == 'error':
            self.errors.append(parameters['entry']['text'] + ' ' + parameters['entry'].get('url', ''))

    def take_errors(self):
        self.evaluate('0')  # what is under way has come before the answer
        errors, self.errors = self.errors, []
        return errors

    def evaluate(self, expression):
        """The value of JavaScript; promises are awaited."""
        result = self.send('Runtime.evaluate', expression=expression, returnByValue=True, awaitPromise=True)
        if 'exceptionDetails' in result:
            raise RuntimeError(f'{expression}: {result["exceptionDetails"]}')
        return result['result'].get('value')

    def wait_for(self, condition, seconds=20):
        """Until the JavaScript expression is truthy; gives its value."""
        deadline = time.monotonic() + seconds
        while True:
            value = self.evaluate(condition)
            if value:
                return value
            if time.monotonic() > deadline:
                raise AssertionError(f'in vain: {condition}; the page says: {self.evaluate("document.body.innerText")}')
            time.sleep(0.03)

    def go(self, url, width=1280, height=800, dark=False):
        self.size(width, height)
        self.colours(dark)
        self.send('Page.navigate', url=url)
        self.wait_for('document.readyState === "complete"')

    def size(self, width, height):
        self.send('Emulation.setDeviceMetricsOverride', width=width, height=height, deviceScaleFactor=1,
                  mobile=width < 500)

    def colours(self, dark):
        self.send('Emulation.setEmulatedMedia',
                  features=[{'name': 'prefers-color-scheme', 'value': 'dark' if dark else 'light'}])

    def press(self, name, modifiers=0):
        key = dict(KEYS[name])
        if modifiers & CONTROL:
            key.pop('text', None)
        self.send('Input.dispatchKeyEvent', type='keyDown', modifiers=modifiers, **key)
        key.pop('text', None)
        self.send('Input.dispatchKeyEvent', type='keyUp', modifiers=modifiers, **key)

    def type(self, text):
        self.send('Input.insertText', text=text)

    def click(self, element):
        """With the mouse, at the middle of the element that the JavaScript expression gives."""
        x, y = self.evaluate(f'(() => {{ const e = {element}; e.scrollIntoView({{block: "nearest"}});'
                             ' const r = e.getBoundingClientRect();'
                             ' return [r.x + r.width / 2, r.y + r.height / 2]; })()')
        for kind in ('mousePressed', 'mouseReleased'):
            self.send('Input.dispatchMouseEvent', type=kind, x=x, y=y, button='left', clickCount=1)

    def screenshot(self, path):
        data = self.send('Page.captureScreenshot', format='png')['data']
        with open(path, 'wb') as file:
            file.write(base64.b64decode(data))
