// nodemailer as a peer: `node send.js ORDERS.json`, a list of { transport, mail }. One transport is made for each
// order; what became of it is printed as one line of JSON: { result } or { error }.
'use strict';

const fs = require('fs');
const nodemailer = require('nodemailer');

function dressed({ file, attachment, ...mail }) {
    return {
        ...mail,
        ...(file && { raw: fs.readFileSync(file) }),
        ...(attachment && { attachments: [{ filename: 'attachment.bin', content: fs.readFileSync(attachment) }] })
    };
}

async function send({ transport, mail }) {
    const tls = transport.tls && { ...transport.tls, ca: fs.readFileSync(transport.tls.ca) };
    const carrier = nodemailer.createTransport({ ...transport, ...(tls && { tls }) });
    try {
        const { accepted, rejected, response } = await carrier.sendMail(dressed(mail));
        return { result: { accepted, rejected, response } };
    } catch (error) {
        return { error: { code: error.code, response: error.response, message: error.message } };
    } finally {
        carrier.close();
    }
}

(async () => {
    for (const order of JSON.parse(fs.readFileSync(process.argv[2]))) {
        console.log(JSON.stringify(await send(order)));
    }
})();
