// smtp-server as a peer: `node serve.js SETTINGS`, a JSON object. Each message becomes DIRECTORY/NUMBER.eml with the
// octets as the library hands them out, and beside it NUMBER.json with the envelope and how it came.
'use strict';

const fs = require('fs');
const path = require('path');
const { SMTPServer } = require('smtp-server');

const settings = JSON.parse(process.argv[2]);
let number = 0;

const server = new SMTPServer({
    ...settings.options,
    key: fs.readFileSync(settings.key),
    cert: fs.readFileSync(settings.chain),
    hideDSN: false,
    hideENHANCEDSTATUSCODES: false,
    disableReverseLookup: true,
    onAuth: (auth, session, callback) => callback(null, isRight(auth) ? { user: auth.username } : {}),
    onRcptTo: (address, session, callback) => callback(isKnown(address.address) ? null : refusal()),
    onData: (stream, session, callback) => {
        const chunks = [];
        stream.on('data', chunk => chunks.push(chunk));
        stream.on('end', () => store(Buffer.concat(chunks), session, callback));
    }
});

function isRight(auth) {
    if (auth.username !== settings.user) {
        return false;
    }
    if (auth.method === 'XOAUTH2') {
        return auth.accessToken === settings.token;
    }
    return auth.method === 'CRAM-MD5' ? auth.validatePassword(settings.password) : auth.password === settings.password;
}

function isKnown(address) {
    return settings.mailboxes.includes(address);
}

function refusal() {
    return Object.assign(new Error('no such mailbox'), { responseCode: 550 });
}

function store(octets, session, callback) {
    const place = path.join(settings.directory, `${++number}`);
    const { mailFrom, rcptTo, dsn } = session.envelope;
    const facts = {
        sender: mailFrom ? mailFrom.address : '',
        parameters: mailFrom ? mailFrom.args : false,
        recipients: rcptTo.map(each => each.address),
        notify: rcptTo.map(each => each.dsn),
        dsn,
        user: session.user || null,
        secure: session.secure,
        transmission: session.transmissionType
    };
    fs.writeFileSync(`${place}.json`, JSON.stringify(facts));
    fs.writeFileSync(`${place}.partial`, octets);
    fs.renameSync(`${place}.partial`, `${place}.eml`);
    // LMTP: a mailbox that is full takes no message, the others do.
    const verdicts = facts.recipients.map(each => (each.startsWith('full@') ? full() : 'stored'));
    callback(null, settings.options.lmtp ? verdicts : `queued as ${number}`);
}

function full() {
    return Object.assign(new Error('mailbox full'), { responseCode: 452 });
}

server.on('error', error => console.error(error.message));
server.listen(settings.port, '127.0.0.1');
